"""Whether a tenant's volume is there, and if not, what the storage says about it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Final

from ..apiserver.errors import ApiError, ApiRefused, Conflict, NotFound
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
WAITS: Final = "WaitForFirstConsumer"
_SAYS = {WAITS, "WaitForPodScheduled", "ProvisioningFailed", "FailedBinding", "ExternalProvisioning", "Provisioning"}


@dataclass(slots=True)
class _Said:
    uid: str
    reason: str = "Binding"
    message: str = "the storage has not said anything yet"
    looks: int = 0
    next_look: float = 0.0


class Volumes:
    """What was heard about claims that are not bound."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._said: dict[tuple[str, str], _Said] = {}
        self._lazy: set[tuple[str, str | None]] = set()
        """(namespace, storage class) that bind on first use: one Event tells it for all their claims."""

    def forget(self, name: tuple[str, str]) -> None:
        """Forget a tenant."""
        self._said.pop(name, None)

    async def look(self, name: tuple[str, str], view: TenantView, accepted: Accepted | None) -> tuple[Statement, float]:
        """Return the condition VolumeReady, and the seconds until it should be looked at again (0: no need)."""
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
        said, pause = await self._hear(name, claim)
        if said.reason != WAITS:
            if said.reason == "Binding":
                return Statement("VolumeReady", "Unknown", said.reason, said.message), pause
            return Statement.of("VolumeReady", False, said.reason, said.message), pause
        if accepted is not None and accepted.template.spec.volume.prebind:
            return await self._prebind(name, accepted, pause)
        text = (
            "the storage binds the volume on its first use: the first wake includes the clone "
            "(volume.prebind in the template does it now)"
        )
        return Statement.of("VolumeReady", False, WAITS, text), 0.0

    async def _hear(self, name: tuple[str, str], claim: ClaimRecord) -> tuple[_Said, float]:
        said = self._said.get(name)
        now = time.time()
        if said is None or said.uid != claim.uid:
            said = self._said[name] = _Said(claim.uid, next_look=max(now, parsed(claim.created) + FIRST_LOOK))
        if (claim.namespace, claim.facts.storage_class) in self._lazy:
            said.reason = WAITS
        elif now >= said.next_look:
            try:
                await self._ask(said, claim)
            except ApiRefused as error:
                said.message = f"the operator may not read what the storage says: {error.message}"
            said.next_look = now + LOOK_AGAIN[min(said.looks, len(LOOK_AGAIN) - 1)]
            said.looks += 1
        return said, max(0.1, said.next_look - now)

    async def _ask(self, said: _Said, claim: ClaimRecord) -> None:
        fields = f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={claim.name}"
        latest = ("", "", "")
        async for page in self._world.api.pages(EVENT, claim.namespace, fields=fields):
            for event in page.items:
                if event.get("involvedObject", {}).get("uid") not in ("", None, claim.uid):
                    continue
                when = event.get("lastTimestamp") or event.get("eventTime") or ""
                if event.get("reason") in _SAYS and when >= latest[0]:
                    latest = (when, event["reason"], event.get("message") or "")
        if not latest[1]:
            return
        said.reason = WAITS if latest[1] == "WaitForPodScheduled" else latest[1]
        said.message = latest[2]
        if said.reason == WAITS:
            self._lazy.add((claim.namespace, claim.facts.storage_class))

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
            return Statement.of("VolumeReady", False, "Prebinding", ": ".join(pod.trouble)), pause
        return Statement.of("VolumeReady", False, "Prebinding", "a one-off pod binds the volume"), pause

    async def _clear_prebind(self, name: tuple[str, str]) -> None:
        pod = self._world.cache.pod((name[0], prebind_name(name[1])))
        if pod is None or pod.terminating or pod.phase not in ("Succeeded", "Failed"):
            return
        with contextlib.suppress(NotFound):
            await self._world.api.delete(POD, pod.namespace, pod.name, pod.uid)
