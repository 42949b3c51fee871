"""One wake per tenant, however many wait for it; it goes on when they leave."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from ..fleet import Fleet, GatewayAddress, TenantRecord, WakeFailed
from ..metrics import RouterMetrics
from .admission import Admission
from .fair_queue import QueueFull
from .rate import WakeRate

log = logging.getLogger(__name__)

FIRST_PROBE = 0.02
"""Seconds between dials while nothing listens yet: a refused connect costs microseconds on both sides."""
SLOW_PROBE = 0.1
"""Seconds between questions once it listens but says "starting": each costs the starting gateway some CPU."""
REMEMBERED: Final = 10_000
"""Tenants whose last wake and last failure are remembered: those that woke last."""
V = TypeVar("V")

WakeKind = Literal["connect", "parked", "http", "timer", "operator"]
"""Who asks for a wake: a client that connects, a parked client's request, an HTTP request, a timer, a person."""


@dataclass(slots=True)
class WakeTiming:
    """When the phases of one wake were over, in seconds since it was asked for."""

    asked: float = field(default_factory=time.monotonic)
    admitted: float = 0.0
    started: float = 0.0
    listening: float = 0.0
    ready: float = 0.0

    def since(self) -> float:
        """Return the seconds since the wake was asked for."""
        return time.monotonic() - self.asked


class NotListening(Exception):
    """Nothing answers at the address yet."""


class NotReady(Exception):
    """The gateway listens and says that it is still starting."""


Probe = Callable[[GatewayAddress], Awaitable[None]]
"""Asks a gateway once whether clients may connect. Raises NotListening or NotReady; returns when they may."""


class Waker:
    """Wakes tenants for whoever waits. Its tasks are its own: `close` ends them.

    Parameters
    ----------
    asleep
        Tells of an address whether that incarnation was put to sleep, so that another one is needed.
    woken
        Hears of each tenant that has been woken, and why.
    """

    def __init__(
        self,
        fleet: Fleet,
        probe: Probe,
        admission: Admission,
        metrics: RouterMetrics,
        asleep: Callable[[GatewayAddress], bool] = lambda address: False,
        woken: Callable[[str, str], None] = lambda key, reason: None,
    ) -> None:
        self._fleet = fleet
        self._probe = probe
        self._admission = admission
        self._metrics = metrics
        self._asleep = asleep
        self._woken = woken
        self._wakes: dict[str, asyncio.Task[GatewayAddress]] = {}
        self._rate = WakeRate()
        self._told: OrderedDict[str, str] = OrderedDict()
        """Why each tenant could not be woken, as it was logged last."""
        self.last: OrderedDict[str, WakeTiming] = OrderedDict()
        """The timing of each tenant's last wake, for `why`."""

    def under_way(self, key: str) -> bool:
        """Tell whether a wake of this tenant runs."""
        return key in self._wakes

    async def address(
        self, tenant: TenantRecord, kind: WakeKind, reason: str, stale: GatewayAddress | None = None
    ) -> GatewayAddress:
        """Return where the tenant's gateway answers, waking it if need be. Cancelling the caller never ends the wake.

        Parameters
        ----------
        kind
            Who asks, for the metrics.
        reason
            The same in words, for logs and `why`.
        stale
            An address that did not answer just now; the fleet is asked again instead of believed.

        Raises
        ------
        WakeFailed
            The wake came to nothing, or the waker was closed. A later call starts anew.
        """
        task = self._wakes.get(tenant.key)
        if task is None:
            known = self._fleet.awake(tenant.key)
            if known is not None and known != stale and not self._asleep(known):
                return known
            try:
                self._check_rate(tenant)
            except WakeFailed as failed:
                self._tell(tenant.key, str(failed))
                raise
            task = asyncio.get_running_loop().create_task(self._wake(tenant, kind, reason), name=f"wake {tenant.key}")
            self._wakes[tenant.key] = task
            task.add_done_callback(lambda done: self._forget(tenant.key, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if task.cancelled() and waiting is not None and not waiting.cancelling():
                # Only `close` cancels a wake, and the caller, who was not cancelled, must not take it for its own end.
                raise WakeFailed("the router is ending") from None
            raise

    def _tell(self, key: str, why: str) -> None:
        """Log a failure once, however many clients are held and ask again each second.

        Its first line says which one it is; numbers in it are a back-off's, a process's, a pod's.
        """
        same = re.sub(r"\d+", "", why.partition("\n")[0])
        if self._told.get(key) != same:
            _remember(self._told, key, same)
            log.info("tenant %s: %s", key, why)

    def _forget(self, key: str, task: asyncio.Task[GatewayAddress]) -> None:
        del self._wakes[key]
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, WakeFailed):
            log.error("the wake of %s ended with an error of ours", key, exc_info=error)

    def _check_rate(self, tenant: TenantRecord) -> None:
        limit = tenant.limits.wakes_per_hour
        if limit is None:
            return
        if wait := self._rate.wait(tenant.key, limit, time.monotonic()):
            raise WakeFailed(
                f"woken {limit} times within the last hour, which is its limit (spec.limits.wakesPerHour); "
                f"the next wake is possible in {wait:.0f} s"
            )

    def _count_start(self, tenant: TenantRecord) -> None:
        """Count what costs: gateways that were really started, not tries that a back-off turned away."""
        if tenant.limits.wakes_per_hour is not None:
            self._rate.count(tenant.key, time.monotonic())

    async def _wake(self, tenant: TenantRecord, kind: WakeKind, reason: str) -> GatewayAddress:
        self._metrics.wakes_by_reason.labels(kind).inc()
        timing = WakeTiming()
        _remember(self.last, tenant.key, timing)
        outcome = "failed"
        try:
            async with self._admission.turn(tenant):
                timing.admitted = timing.since()
                address = await self._start(tenant, reason, timing)
            outcome = "ok"
            self._told.pop(tenant.key, None)
            return address
        except WakeFailed as failed:
            self._tell(tenant.key, str(failed))
            raise
        except QueueFull:
            outcome = "queue_full"
            raise WakeFailed("too many tenants are waking already; try again shortly") from None
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._metrics.wake(outcome, timing)

    async def _start(self, tenant: TenantRecord, reason: str, timing: WakeTiming) -> GatewayAddress:
        deadline = time.monotonic() + tenant.wake_timeout
        try:
            async with asyncio.timeout(tenant.wake_timeout):
                address = await self._fleet.wake(tenant.key, reason)
                while self._asleep(address):
                    # It was put to sleep and is about to end; the fleet gives out the next one once it has.
                    await asyncio.sleep(FIRST_PROBE)
                    address = await self._fleet.wake(tenant.key, reason)
        except TimeoutError:
            raise WakeFailed(f"there was nothing to dial within {tenant.wake_timeout:g} s") from None
        timing.started = timing.since()
        self._count_start(tenant)
        while True:
            if (end := self._fleet.ended(address)) is not None:
                raise WakeFailed(end)
            left = deadline - time.monotonic()
            if left <= 0:
                why = f"it said no hello within {tenant.wake_timeout:g} s (wake.timeout)"
                self._fleet.gave_up(address, why)
                raise WakeFailed(why)
            pause = FIRST_PROBE
            try:
                async with asyncio.timeout(min(left, 5.0)):
                    await self._probe(address)
            except NotReady:
                timing.listening = timing.listening or timing.since()
                pause = SLOW_PROBE
            except (NotListening, TimeoutError):
                pass
            else:
                timing.ready = timing.since()
                timing.listening = timing.listening or timing.ready
                self._fleet.greeted(address)
                self._woken(tenant.key, reason)
                return address
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Cancel what runs and wait for its end."""
        tasks = list(self._wakes.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _remember(table: OrderedDict[str, V], key: str, value: V) -> None:
    """Keep a tenant's value, and forget that of the tenant which has been kept for longest."""
    table[key] = value
    table.move_to_end(key)
    if len(table) > REMEMBERED:
        table.popitem(last=False)
