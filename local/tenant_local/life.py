"""The life of one tenant's gateway: asleep, waking, awake, suspending, and failed."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tenant_router.fleet import GatewayAddress, WakeFailed

from .backoff import Backoff
from .exits import CONFIG_REFUSED, explain
from .layout import TenantPaths
from .ready import started
from .settings import KILL_TIMEOUT
from .starting import Started, Starter, StartFailed
from .states import Failure, State, WakeTiming
from .timers import Timer

log = logging.getLogger(__name__)

HISTORY = 32
"""Changes of state that `why` tells of."""
GIVE_UP_SLACK = 2.0
"""Seconds after wake.timeout until the fleet ends a gateway by itself; the router, which knows more, comes first."""


@dataclass(slots=True, eq=False)
class Incarnation:
    """One gateway process."""

    address: GatewayAddress
    started: Started
    begun: float = field(default_factory=time.monotonic)
    awake_since: float | None = None
    """Seconds since the epoch when it answered."""
    stopping: str | None = None
    """Why it was asked to end."""
    killed: str | None = None
    """Why it was killed."""
    watch: asyncio.Task[None] | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def exited(self) -> asyncio.Future[int]:
        """The end of its last process."""
        return self.started.launcher.warden.exited


class TenantLife:
    """Starts and stops one tenant's gateway; never two at once."""

    def __init__(self, name: str, paths: TenantPaths, starter: Starter) -> None:
        self.name = name
        self.paths = paths
        self._starter = starter
        self._turn = asyncio.Lock()
        self._hurry: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.state = State.ASLEEP
        self.since = time.time()
        self.reason = "not woken since the fleet started"
        self.history: deque[tuple[float, State, str]] = deque(maxlen=HISTORY)
        self.backoff = Backoff()
        self.gateway: Incarnation | None = None
        self.wakes = 0
        self.last_wake: WakeTiming | None = None
        self.timer = Timer(paths)
        self.last_failure: Failure | None = None
        self._ended: deque[tuple[str, str]] = deque(maxlen=8)
        self.on_change: Callable[[TenantLife], None] = lambda life: None
        """Called after each change of state."""

    def _become(self, state: State, reason: str) -> None:
        self.state, self.since, self.reason = state, time.time(), reason
        self.history.append((self.since, state, reason))
        log.info("%s is %s: %s", self.name, state, reason)
        self.on_change(self)

    # Waking

    async def wake(self, reason: str) -> Incarnation:
        """Return the running gateway, or start one; returns once there is an address to dial.

        Raises
        ------
        WakeFailed
            It can't be started (now).
        """
        async with self._turn:
            gateway = self.gateway
            if gateway is not None and gateway.killed is not None:
                await asyncio.wait([gateway.exited], timeout=KILL_TIMEOUT)
                gateway = self.gateway
            if gateway is not None:
                return gateway
            if (wait := self.backoff.wait(time.monotonic())) > 0:
                failure = self.last_failure
                what = failure.text if failure is not None else "it keeps dying"
                raise WakeFailed(
                    f"{what}\nIt failed {self.backoff.deaths} times in a row; tried again in {wait:.0f} s.",
                    lasting=failure is not None and failure.lasting,
                )
            return await self._start(reason)

    async def _start(self, reason: str) -> Incarnation:
        timing = self.last_wake = WakeTiming()
        self.wakes += 1
        self._become(State.WAKING, reason)
        try:
            begun = await self._starter.start(self.name, self.paths, timing)
        except StartFailed as error:
            if error.counts:
                self.backoff.died(time.monotonic(), 0.0)
            self._fail(str(error), error.lasting)
            raise WakeFailed(str(error), error.lasting) from error
        except asyncio.CancelledError:
            self._become(State.ASLEEP, "the wake was given up before there was a process")
            raise
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")
            raise
        address = GatewayAddress("127.0.0.1", begun.port, f"{self.name}/{secrets.token_hex(8)}", begun.user)
        gateway = self.gateway = Incarnation(address, begun)
        gateway.exited.add_done_callback(lambda status: self._has_ended(gateway, status.result()))
        gateway.watch = asyncio.get_running_loop().create_task(self._watch(gateway), name=f"watch {self.name}")
        return gateway

    async def _watch(self, gateway: Incarnation) -> None:
        """See it become ready, also where no router asks; kill it when it does not."""
        left = gateway.started.wake_timeout + GIVE_UP_SLACK
        try:
            async with asyncio.timeout(left):
                await started(gateway.address.host, gateway.address.port, gateway.answered)
        except TimeoutError:
            self.give_up(gateway, f"it did not answer within {gateway.started.wake_timeout:g} s (spec.wake.timeout)")
        else:
            self.greeted(gateway)

    def greeted(self, gateway: Incarnation) -> None:
        """Note that it has answered."""
        if gateway is not self.gateway or gateway.awake_since is not None or gateway.stopping or gateway.killed:
            return
        gateway.awake_since = time.time()
        gateway.answered.set()
        self.timer.done()
        if self.last_wake is not None:
            self.last_wake.ready = self.last_wake.mark()
            self._become(State.AWAKE, f"{self.reason} (ready after {self.last_wake.ready:.2f} s)")

    def give_up(self, gateway: Incarnation, reason: str) -> None:
        """End a gateway that never answered."""
        if gateway is self.gateway and gateway.killed is None and gateway.stopping is None:
            gateway.killed = reason
            gateway.started.launcher.kill()

    # Ending

    def _has_ended(self, gateway: Incarnation, status: int) -> None:
        launcher = gateway.started.launcher
        said = launcher.failure()
        launcher.close()
        self._starter.ended(self.name)
        if gateway.watch is not None:
            gateway.watch.cancel()
        self.gateway = None
        if gateway.stopping is not None:
            self._ended.append((gateway.address.uid, gateway.stopping))
            self.backoff.reset()
            self._become(State.ASLEEP, gateway.stopping)
            return
        text = explain(self.paths, gateway.started, status, gateway.killed or said)
        awake_for = 0.0 if gateway.awake_since is None else time.time() - gateway.awake_since
        self.backoff.died(time.monotonic(), awake_for)
        self._ended.append((gateway.address.uid, text))
        self._fail(text, status == CONFIG_REFUSED)

    def _fail(self, text: str, lasting: bool = False) -> None:
        self.last_failure = Failure(time.time(), text, lasting)
        self._become(State.FAILED, text)

    def why_ended(self, uid: str) -> str | None:
        """Return why one of its last incarnations is gone; None: it was none of them."""
        return next((why for known, why in self._ended if known == uid), None)

    async def suspend(self, reason: str) -> None:
        """Have the gateway end gracefully and wait for it; nothing happens when there is none.

        It gets SIGTERM, and SIGKILL when it still runs after its runtime's grace. A wake waits for that end.
        """
        async with self._turn:
            gateway = self.gateway
            if gateway is None:
                if self.state is not State.ASLEEP:
                    self._become(State.ASLEEP, reason)
                return
            if gateway.killed is None:
                gateway.stopping = reason
                self._become(State.SUSPENDING, reason)
                gateway.started.launcher.terminate()
                if not await self._wait(gateway, gateway.started.grace):
                    log.warning("%s did not end within its grace and is killed", self.name)
                    gateway.stopping = f"{reason} (killed: it did not end by itself)"
                    gateway.started.launcher.kill()
            await asyncio.wait([gateway.exited], timeout=KILL_TIMEOUT)

    async def _wait(self, gateway: Incarnation, grace: float) -> bool:
        if not self._hurry.done():
            await asyncio.wait([gateway.exited, self._hurry], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        return gateway.exited.done()

    def hurry(self) -> None:
        """Cut every grace short from now on: the fleet's own deadline is over."""
        if not self._hurry.done():
            self._hurry.set_result(0)

    async def close(self) -> None:
        """Wait for what still watches."""
        gateway = self.gateway
        if gateway is not None and gateway.watch is not None:
            gateway.watch.cancel()
            await asyncio.gather(gateway.watch, return_exceptions=True)
