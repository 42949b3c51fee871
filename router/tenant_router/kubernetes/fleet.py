"""The fleet of a cluster: Tenants and pods in by watch, wakes out by the scale subresource."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence, Set
from typing import Any

from tenant_api.identity import identity_secret, identity_user

from ..expiries import tell_expired
from ..fleet import GatewayAddress, TenantRecord, TokenMatch
from .client import ApiServer
from .metrics import FleetMetrics
from .pods import GatewayPod, Pods
from .registry import PASSIVE, Registry, Revocation, TenantEntry
from .scale import PodCantCome, scale_up
from .sinks import EventSink, PodSink, TemplateSink, TenantSink, watches
from .stories import Stories, WakePhases
from .trouble import Cause, Trouble
from .warnings import Warnings, claim_of
from .watch import Watch

log = logging.getLogger(__name__)

MEASURE = 0.25
"""Seconds between two counts of what is watched, for the metrics."""
PATIENCE = 3.0
"""Seconds for troubles that pass by themselves: a clone is bound, or a mount tried again, in a fraction of that."""
LOOK = 0.5
"""Seconds between two looks at a wake without news: patience runs out without any event."""
LOOK_AGAIN = 3.0
"""Seconds without any pod until it is asked for again and listed: a user is waiting."""
MARGIN = 0.5
"""Seconds by which a wake ends before the router's own limit, so that it can still say why."""

Revoked = Callable[[str, frozenset[str] | None], None]
"""Hears that tokens of a tenant stopped working, by their names (None: all of them), so that their sockets are closed."""


Ending = Callable[[str], None]
"""Hears that a pod of a tenant is being deleted, before its gateway is told so, or as soon as we know."""


class KubernetesFleet:
    """Implements `tenant_router.fleet.Fleet` on a cluster. One per process; every method on its event loop.

    Parameters
    ----------
    namespaces
        Where the tenants are.
    master_key
        What the tenants' identity secrets are derived from (`tenant_api.identity`).
    """

    def __init__(
        self, api: ApiServer, namespaces: Sequence[str], master_key: bytes, revoked: Revoked, ending: Ending
    ) -> None:
        self.metrics = FleetMetrics()
        self.registry = Registry()
        self.pods = Pods()
        self.warnings = Warnings()
        self.stories = Stories()
        self._api = api
        self._master_key = master_key
        self._revoked = revoked
        self._ending = ending
        self._news: dict[str, asyncio.Event] = {}
        """Set when there is news of a tenant that is being woken."""
        self._pod_sink = PodSink(self.pods, self._pod_changed)
        self.watches: list[Watch[Any]] = watches(
            api,
            namespaces,
            TenantSink(self.registry, self._revoke),
            TemplateSink(self.registry),
            self._pod_sink,
            EventSink(self.warnings, self._warned),
        )
        self._tasks: list[asyncio.Task[None]] = []

    # Start and stop

    async def start(self) -> None:
        """Begin to watch, and return once all first lists are in, however long the API server is away."""
        for watch in self.watches:
            self._own(watch.run(), f"watch {watch.plural} of {watch.namespace}")
        self._own(
            tell_expired(self.registry.expired, lambda key, tokens: self._revoke([(key, tokens)])), "token expiry"
        )
        self._own(self._measure(), "measure")
        await asyncio.gather(*(watch.listed.wait() for watch in self.watches))
        log.info("%d tenants, %d pods", len(self.registry), len(self.pods))

    def _own(self, coroutine: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.append(task)
        task.add_done_callback(_report_failure)

    async def stop(self) -> None:
        """End the watches. Gateways go on: they are the cluster's."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _measure(self) -> None:
        while True:
            await asyncio.sleep(MEASURE)
            for plural in {watch.plural for watch in self.watches}:
                ours = [watch for watch in self.watches if watch.plural == plural]
                self.metrics.watches.labels(plural).set(sum(watch.problem is None for watch in ours))
                self.metrics.lists.labels(plural).set(sum(watch.lists for watch in ours))
            self.metrics.objects.labels("tenants").set(len(self.registry))
            self.metrics.objects.labels("pods").set(len(self.pods))

    # News

    def _revoke(self, revocations: list[Revocation]) -> None:
        for key, tokens in revocations:
            self.metrics.revocations.inc()
            self._revoked(key, tokens)
            if tokens is None and self.registry.get(key) is None:
                self.stories.forget(key)
            self._tell(key)

    def _pod_changed(self, pod: GatewayPod) -> None:
        self._tell(pod.key)
        if pod.deleting:
            self._ending(pod.key)
        current = self.pods.current(pod.key)
        story = self.stories.of(pod.key)
        if current is None:
            if self.pods.of(pod.key):
                story.turn("suspending", f"pod {pod.name} is ending")
            elif story.state != "failed":
                story.turn("asleep", self.pods.end_of(pod.uid) or "its pod is gone")
        elif current.ready or current.greeted:
            story.turn("awake", f"pod {current.name} answers")
        elif story.state != "failed":
            story.turn("waking", f"pod {current.name} was made")
        if current is not None:
            self.warnings.forget(pod.key)
            if story.last_wake is not None:
                _mark(story.last_wake, current)

    def _warned(self, about: str) -> None:
        pod = self.pods.get(about)
        self._tell(pod.key if pod is not None else about.removeprefix(claim_of("")))

    def _tell(self, key: str) -> None:
        if (news := self._news.get(key)) is not None:
            news.set()

    # The router's questions (tenant_router.fleet.Fleet)

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return who has the token with this SHA-256 digest."""
        return self.registry.find(digest)

    def knows(self, key: str) -> bool:
        """Tell whether there is such a tenant."""
        return self.registry.get(key) is not None

    def passive_methods(self, key: str) -> Set[str]:
        """Return the methods whose requests are no use of this tenant, as its template has them now."""
        entry = self.registry.get(key)
        return PASSIVE if entry is None else self.registry.template(entry).passive_methods

    def awake(self, key: str) -> GatewayAddress | None:
        """Return the address of a pod that has answered somebody: this router, or the kubelet."""
        pod = self.pods.current(key)
        if pod is None or not (pod.greeted or pod.ready) or pod.trouble is not None:
            return None
        return self._address(pod)

    def _address(self, pod: GatewayPod) -> GatewayAddress | None:
        """Return where a pod listens. Should its address be another's by now: that one does not let this user in."""
        if pod.address is None and pod.ip and (entry := self.registry.get(pod.key)) is not None:
            user = identity_user(entry.name, identity_secret(self._master_key, entry.uid))
            pod.address = GatewayAddress(pod.ip, pod.port, pod.uid, user)
        return pod.address

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        """Scale the tenant up if need be and return as soon as its pod has an address.

        Raises
        ------
        WakeFailed
            The pod can't come, in the cluster's own words.
        """
        story = self.stories.of(key)
        phases = WakePhases(reason=reason)
        try:
            entry = self._wakeable(key)
            if (pod := self.pods.current(key)) is not None and (address := self._dialable(pod)) is not None:
                return address
            story.waking(phases)
            address = await self._wake(entry, phases)
            story.wakes += 1
            return address
        except PodCantCome as failed:
            self._failed(key, failed.trouble)
            raise

    def _wakeable(self, key: str) -> TenantEntry:
        entry = self.registry.get(key)
        if entry is None:
            raise PodCantCome(Trouble(Cause.NOT_PROVISIONED, f"there is no tenant {key!r}"))
        if entry.power == "Suspended":
            raise PodCantCome(Trouble(Cause.SUSPENDED, "the tenant is suspended (spec.power)"))
        return entry

    def _dialable(self, pod: GatewayPod) -> GatewayAddress | None:
        return self._address(pod) if pod.trouble is None else None

    async def _wake(self, entry: TenantEntry, phases: WakePhases) -> GatewayAddress:
        key = entry.key
        limit = self.registry.record(entry).wake_timeout
        last: Trouble | None = None
        news = self._news[key] = asyncio.Event()
        try:
            async with asyncio.timeout(max(limit - MARGIN, limit / 2)):
                await self._scale_up(entry)
                phases.patched = time.monotonic()
                while True:
                    news.clear()
                    self._wakeable(key)
                    pod = self.pods.current(key)
                    if pod is not None:
                        _mark(phases, pod)
                    last = self._trouble(key, pod, phases)
                    if last is not None and not last.patient:
                        raise PodCantCome(last)
                    if pod is not None and last is None and (address := self._address(pod)) is not None:
                        return address
                    if not await _within(news.wait(), LOOK) and (pod is None or not pod.ip):
                        await self._insist(entry, phases)
        except TimeoutError:
            raise PodCantCome(self._too_slow(key, phases, limit, last)) from None
        finally:
            if self._news.get(key) is news:
                del self._news[key]

    async def _scale_up(self, entry: TenantEntry) -> None:
        try:
            await scale_up(self._api, entry.namespace, entry.name)
        except PodCantCome as failed:
            if failed.trouble.cause is Cause.NOT_PROVISIONED and entry.problem:
                text = f"{failed.trouble.text}; it says {entry.problem}"
                raise PodCantCome(Trouble(Cause.NOT_PROVISIONED, text)) from None
            raise

    async def _insist(self, entry: TenantEntry, phases: WakePhases) -> None:
        """Without news for long: the operator may have scaled to 0 just behind us, or the watch may have died silently."""
        now = time.monotonic()
        if now - max(phases.patched, phases.insisted) > LOOK_AGAIN:
            phases.insisted = now
            await self._scale_up(entry)
            await self._pod_sink.look(self._api, entry.key)

    def _trouble(self, key: str, pod: GatewayPod | None, phases: WakePhases) -> Trouble | None:
        """Return what keeps a wake from its pod now. `patient` is left only while there is patience."""
        now = time.monotonic()
        if pod is None:
            warned = self.warnings.about(key)
            if warned is None:
                return None
            # One that came since is about this wake; an older one too, when a wake that failed has left replicas at 1.
            if (warned.news and warned.seen >= phases.asked) or now - phases.patched > PATIENCE:
                return warned.trouble
            return None
        found, since = pod.trouble, pod.troubled
        if found is None and not pod.ip and (warned := self.warnings.about(pod.uid)) is not None:
            found, since = warned.trouble, pod.seen
        if found is None:
            return None
        if found.cause is Cause.VOLUME and (claim := self.warnings.about(claim_of(key))) is not None:
            found = Trouble(found.cause, f"{found.text}; {claim.trouble.text}", found.patient)
        if found.patient and now - since > PATIENCE:
            return Trouble(found.cause, found.text)
        return found

    def _too_slow(self, key: str, phases: WakePhases, limit: float, last: Trouble | None) -> Trouble:
        if not phases.patched:
            return Trouble(Cause.UNREACHABLE, f"the API server did not answer within {limit:g} s (wake.timeout)")
        if last is not None:
            return Trouble(last.cause, last.text)
        pod = self.pods.current(key)
        where = "no pod was made" if pod is None else f"pod {pod.name} got no address ({pod.phase or 'new'})"
        return Trouble(Cause.SLOW, f"{where} within {limit:g} s (wake.timeout)")

    def _failed(self, key: str, trouble: Trouble) -> None:
        self.metrics.failures.labels(trouble.cause).inc()
        self.stories.of(key).failed(trouble)

    def ended(self, address: GatewayAddress) -> str | None:
        """Return why this pod is gone or can't come up, or None while it may still answer."""
        pod = self.pods.get(address.uid)
        if pod is None:
            return self.pods.end_of(address.uid) or "its pod is gone"
        if pod.deleting:
            return f"pod {pod.name} is being deleted"
        if pod.trouble is not None and not pod.trouble.patient:
            self._failed(pod.key, pod.trouble)
            return pod.trouble.text
        return None

    def greeted(self, address: GatewayAddress) -> None:
        """Hear from the router that this pod has said hello."""
        pod = self.pods.get(address.uid)
        if pod is not None:
            pod.greeted = True
            self.stories.of(pod.key).turn("awake", f"pod {pod.name} answers")

    def gave_up(self, address: GatewayAddress, reason: str) -> None:
        """Hear that this pod said no hello in time. Its liveness probe restarts it; the next wake asks it anew."""
        pod = self.pods.get(address.uid)
        if pod is not None:
            pod.greeted = False
            self._failed(pod.key, Trouble(Cause.SLOW, f"pod {pod.name}: {reason}"))

    # What people ask

    def record(self, key: str) -> TenantRecord | None:
        """Return a tenant as the router sees it, if there is one."""
        entry = self.registry.get(key)
        return self.registry.record(entry) if entry is not None else None


def _mark(phases: WakePhases, pod: GatewayPod) -> None:
    now = time.monotonic()
    phases.pod = phases.pod or now
    if pod.node:
        phases.scheduled = phases.scheduled or now
    if pod.ip:
        phases.address = phases.address or now


async def _within(wanted: Coroutine[Any, Any, Any], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await wanted
    except TimeoutError:
        return False
    return True


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error of ours", task.get_name(), exc_info=error)
