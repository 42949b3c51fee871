"""Whether a tenant's volume is there, and if not, what the storage says about it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

from tenant_api.apiserver_errors import ApiError, ApiRefused

from ..apiserver.errors import Conflict, NotFound
from ..apiserver.resources import EVENT, POD
from ..cache.records import ClaimRecord, TenantView
from ..objects.prebind import build_prebind, prebind_name
from ..times import parsed
from ..world import World
from .acceptance import Accepted
from .conditions import Statement

FIRST_LOOK: Final = 2.0
"""Seconds from the claim's making to the first look at its Events: a provisioner that binds at once has done so."""
LOOK_AGAIN: Final = (5.0, 15.0, 60.0, 300.0)
"""Seconds between further looks at a claim that stays unbound."""
OLD: Final = 30.0
"""Seconds after which a claim that was not bound yet will hardly be bound in the next moment."""
BINDING: Final = "Binding"
WAITS: Final = "WaitForFirstConsumer"
_AT_WORK: Final = {"ExternalProvisioning", "Provisioning"}
_SAYS = {WAITS, "WaitForPodScheduled", "ProvisioningFailed", "FailedBinding", *_AT_WORK}


@dataclass(slots=True)
class _Said:
    """What is known of one claim."""

    uid: str
    reason: str = BINDING
    message: str = "the storage has not said anything yet"
    looks: int = 0
    next_look: float = 0.0


_Rank = tuple[bool, str]
"""Whether it says more than that the storage is at work, and when it was said last.

Kubernetes repeats ExternalProvisioning every 15 seconds while a provisioner that failed pauses for minutes before it tries again:
by time alone the reason would be hidden most of the time.
"""


@dataclass(slots=True)
class _Told:
    """What the storage said about all claims of a namespace: one list answers for a thousand of them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    listed: float = 0.0
    by_uid: dict[str, tuple[_Rank, str, str]] = field(default_factory=dict)
    """UID of the claim → rank, reason and message of the Event that tells most."""


class Volumes:
    """What was heard about claims that are not bound."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._said: dict[tuple[str, str], _Said] = {}
        self._told: dict[str, _Told] = {}
        self._lazy: set[tuple[str, str | None]] = set()
        """(namespace, storage class) that bind on first use: one Event tells it for all their claims."""

    def forget(self, name: tuple[str, str]) -> None:
        """Forget a tenant."""
        self._said.pop(name, None)

    async def look(
        self, name: tuple[str, str], view: TenantView, accepted: Accepted | None, before: dict[str, Any]
    ) -> tuple[Statement, float]:
        """Return the condition VolumeReady, and the seconds until it should be looked at again (0: no need).

        Parameters
        ----------
        before
            The condition as it was: what the storage said before this operator started.
        """
        claim = view.claim
        if claim is None:
            return Statement.of("VolumeReady", False, "NotProvisioned", "there is no claim yet"), 0.0
        if claim.phase != "Pending":
            self._said.pop(name, None)
            await self._clear_prebind(name)
            if claim.phase == "Bound":
                return Statement.of("VolumeReady", True, "Bound", f"claim {claim.name} is bound"), 0.0
            text = f"the volume of claim {claim.name} is gone from the storage: restore it, or delete the claim"
            return Statement.of("VolumeReady", False, claim.phase, text), 0.0
        used = view.deployment is not None and view.deployment.replicas > 0
        said, pause = await self._hear(name, claim, before, used=used)
        if said.reason == BINDING:
            return Statement("VolumeReady", "Unknown", said.reason, said.message), pause
        if said.reason != WAITS:
            return Statement.of("VolumeReady", False, said.reason, said.message), pause
        if accepted is not None and accepted.template.spec.volume.prebind:
            return await self._prebind(name, accepted, pause)
        text = (
            "the storage binds the volume on its first use: the first wake includes the clone "
            "(volume.prebind in the template does it now)"
        )
        return Statement("VolumeReady", "Unknown", WAITS, text), pause if used else 0.0

    async def _hear(
        self, name: tuple[str, str], claim: ClaimRecord, before: dict[str, Any], *, used: bool
    ) -> tuple[_Said, float]:
        said = self._said.get(name)
        now = time.time()
        if said is None or said.uid != claim.uid:
            said = self._said[name] = _begin(claim, before, now)
        lazy = (claim.namespace, claim.facts.storage_class)
        if said.reason == WAITS:
            self._lazy.add(lazy)
        if lazy in self._lazy and not used:
            # Nothing is to be heard before its first use; what is said then is about this claim alone.
            said.reason, said.looks, said.next_look = WAITS, 0, now + FIRST_LOOK
        elif now >= said.next_look:
            pause = LOOK_AGAIN[min(said.looks, len(LOOK_AGAIN) - 1)]
            passed = LOOK_AGAIN[max(0, min(said.looks, len(LOOK_AGAIN)) - 1)]
            try:
                # Half of the pause that is over: what was listed at the look before it must not answer this one too.
                await self._ask(said, claim, passed / 2)
            except ApiRefused as error:
                said.message = f"the operator may not read what the storage says: {error.message}"
            said.next_look = now + pause * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
            said.looks += 1
        return said, max(0.1, said.next_look - now)

    async def _ask(self, said: _Said, claim: ClaimRecord, fresh: float) -> None:
        told = self._told.setdefault(claim.namespace, _Told())
        async with told.lock:
            if time.monotonic() - told.listed > fresh:
                await self._list(told, claim.namespace)
        told_most = told.by_uid.get(claim.uid)
        if told_most is None:
            return
        _, reason, said.message = told_most
        said.reason = WAITS if reason == "WaitForPodScheduled" else reason
        if said.reason == WAITS:
            self._lazy.add((claim.namespace, claim.facts.storage_class))

    async def _list(self, told: _Told, namespace: str) -> None:
        found: dict[str, tuple[_Rank, str, str]] = {}
        fields = "involvedObject.kind=PersistentVolumeClaim"
        async for page in self._world.api.pages(EVENT, namespace, fields=fields):
            for event in page.items:
                uid = str(event.get("involvedObject", {}).get("uid") or "")
                reason = event.get("reason")
                rank = (reason not in _AT_WORK, str(event.get("lastTimestamp") or event.get("eventTime") or ""))
                if reason in _SAYS and (uid not in found or rank >= found[uid][0]):
                    found[uid] = (rank, reason, event.get("message") or "")
        told.by_uid = found
        told.listed = time.monotonic()

    async def _prebind(self, name: tuple[str, str], accepted: Accepted, pause: float) -> tuple[Statement, float]:
        namespace, tenant = name
        pod = self._world.cache.pod((namespace, prebind_name(tenant)))
        if pod is None:
            body = build_prebind(accepted.tenant, accepted.template, accepted.image)
            try:
                self._world.cache.put(POD, await self._world.api.create(POD, namespace, body))
            except Conflict:
                pass  # the watch will show it
            except ApiError as error:
                return Statement.of("VolumeReady", False, "PrebindRefused", str(error)), pause
        elif pod.phase == "Failed":
            await self._clear_prebind(name)
            return Statement.of("VolumeReady", False, "PrebindFailed", " ".join(pod.trouble or ("it failed",))), pause
        elif pod.trouble is not None:
            return Statement("VolumeReady", "Unknown", "Prebinding", ": ".join(pod.trouble)), pause
        return Statement("VolumeReady", "Unknown", "Prebinding", "a one-off pod binds the volume"), pause

    async def _clear_prebind(self, name: tuple[str, str]) -> None:
        pod = self._world.cache.pod((name[0], prebind_name(name[1])))
        if pod is None or pod.terminating or pod.phase not in ("Succeeded", "Failed"):
            return
        with contextlib.suppress(NotFound):
            await self._world.api.delete(POD, pod.namespace, pod.name, pod.uid)


def _begin(claim: ClaimRecord, before: dict[str, Any], now: float) -> _Said:
    """Return what is known of a claim at first sight: what an operator before us was told, if there was one."""
    created = parsed(claim.created)
    said = _Said(claim.uid, next_look=max(now, created + FIRST_LOOK))
    if before.get("reason") in _SAYS:
        said.reason, said.message = str(before["reason"]), str(before.get("message") or "")
    if before.get("reason") in (BINDING, *_SAYS) and now - created > OLD:
        # A thousand of these after a restart are no reason to hurry.
        said.looks = len(LOOK_AGAIN) - 2
        said.next_look = now + OLD * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
    return said
