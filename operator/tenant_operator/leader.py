"""Who of several operators works: the holder of a Lease (coordination.k8s.io), by client-go's rules."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from tenant_api.apiserver_errors import ApiError

from .apiserver.client import ApiClient
from .apiserver.errors import Conflict, NotFound
from .apiserver.resources import LEASE, Json
from .times import rfc3339_micro

log = logging.getLogger(__name__)

LEASE_NAME: Final = "openclaw-tenancy-operator"
DURATION: Final = 15.0
"""Seconds for which a Lease holds after its last renewal (client-go's default)."""
RENEW: Final = 5.0
"""Seconds between renewals: two may fail."""
DEADLINE: Final = 10.0
"""Seconds without a renewal after which the holder ends by itself: before another one may begin."""
RETRY: Final = 2.0
"""Seconds between two looks of a standby."""


class LeadershipLost(Exception):
    """Another operator leads, or nobody knows: this one must stop at once."""


@dataclass(slots=True)
class _Seen:
    """The Lease as it was last, and when: other machines' clocks are not trusted, only that it changes."""

    record: tuple[Any, ...]
    at: float


class Leadership:
    """One candidate."""

    def __init__(
        self,
        api: ApiClient,
        namespace: str,
        identity: str,
        *,
        duration: float = DURATION,
        renew: float = RENEW,
        deadline: float = DEADLINE,
        retry: float = RETRY,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self.identity = identity
        self._duration, self._renew, self._deadline, self._retry = duration, renew, deadline, retry
        self._seen: _Seen | None = None
        self._lease: Json | None = None
        self.leading = False
        self.holder = ""
        """Who leads, as far as is known."""

    async def acquire(self) -> None:
        """Wait until this candidate leads."""
        while True:
            try:
                if await self._try():
                    self.leading = True
                    log.info("leading as %s", self.identity)
                    return
            except ApiError as error:
                log.warning("the Lease can't be had: %s", error)
            await asyncio.sleep(self._retry)

    async def hold(self) -> None:
        """Renew until that fails for too long.

        Raises
        ------
        LeadershipLost
            See there.
        """
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._renew)
            try:
                async with asyncio.timeout(max(0.1, renewed + self._deadline - time.monotonic())):
                    held = await self._try()
            except (ApiError, TimeoutError) as error:
                if time.monotonic() - renewed >= self._deadline - self._retry:
                    self.leading = False
                    raise LeadershipLost(f"the Lease could not be renewed for {self._deadline:g} s: {error}") from error
                log.warning("the Lease was not renewed: %s", error)
                continue
            if not held:
                self.leading = False
                raise LeadershipLost(f"{self.holder} leads")
            renewed = time.monotonic()

    async def release(self) -> None:
        """Give the Lease back, so that a standby begins at once."""
        if not self.leading or self._lease is None:
            return
        self.leading = False
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            async with asyncio.timeout(self._retry):
                await self._api.replace(LEASE, self._namespace, {"metadata": self._lease["metadata"], "spec": spec})
        except (ApiError, TimeoutError) as error:
            log.warning("the Lease was not given back and ends by itself: %s", error)

    async def _try(self) -> bool:
        now = rfc3339_micro(time.time())
        try:
            lease = await self._api.get(LEASE, self._namespace, LEASE_NAME)
        except NotFound:
            spec = {**self._spec(now), "acquireTime": now, "leaseTransitions": 0}
            try:
                self._lease = await self._api.create(
                    LEASE, self._namespace, {"metadata": {"name": LEASE_NAME}, "spec": spec}
                )
            except Conflict:
                return False
            return True
        spec = lease.get("spec") or {}
        self.holder = str(spec.get("holderIdentity") or "")
        if self.holder != self.identity and not self._expired(spec):
            return False
        changed = {**spec, **self._spec(now)}
        if self.holder != self.identity:
            changed |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        metadata = {key: lease["metadata"][key] for key in ("name", "namespace", "resourceVersion", "uid")}
        try:
            self._lease = await self._api.replace(LEASE, self._namespace, {"metadata": metadata, "spec": changed})
        except Conflict:
            return False
        self.holder = self.identity
        return True

    def _expired(self, spec: Json) -> bool:
        if not self.holder:
            return True
        record = (self.holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if self._seen is None or self._seen.record != record:
            self._seen = _Seen(record, time.monotonic())
            return False
        return time.monotonic() - self._seen.at > float(spec.get("leaseDurationSeconds") or self._duration)

    def _spec(self, now: str) -> Json:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "renewTime": now,
        }
