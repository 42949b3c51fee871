"""Who is put to sleep, and who is kept awake, without anybody asking."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping

from tenant_router.activity import Activity
from tenant_router.fleet import GatewayAddress, WakeFailed
from tenant_router.suspend.conversation import Suspends
from tenant_router.wake.waker import WakeKind

from . import logfile
from .idle import idle_for
from .life import TenantLife
from .registry import Registry, Resolved
from .settings import MAX_LOG
from .sleep import put_to_sleep
from .timers import in_words, lead

log = logging.getLogger(__name__)


class Keeper:
    """Looks at every tenant again and again and does what its policy says; one thing at a time per tenant."""

    def __init__(
        self,
        lives: Mapping[str, TenantLife],
        registry: Registry,
        activity: Activity,
        wake: Callable[[str, WakeKind, str], Awaitable[GatewayAddress]],
        interval: float,
        suspends: Callable[[], Suspends] | None = None,
    ) -> None:
        self._lives = lives
        self._registry = registry
        self._activity = activity
        self._wake = wake
        self._interval = interval
        self._suspends = suspends
        self._running: dict[str, asyncio.Task[None]] = {}
        self._later: dict[str, tuple[float, str]] = {}
        """Tenants that could not sleep → when to try again (time.monotonic), and why they could not."""

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                self._look()
                await asyncio.sleep(self._interval)
        finally:
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self) -> None:
        for name in [name for name, task in self._running.items() if task.done()]:
            del self._running[name]
        for name, life in list(self._lives.items()):
            found = self._registry.get(name)
            if found is None or name in self._running:
                continue
            if life.gateway is not None:
                logfile.rotate(life.paths.log, MAX_LOG)
            if (action := self._action(name, life, found)) is not None:
                task = asyncio.get_running_loop().create_task(action, name=f"keep {name}")
                task.add_done_callback(_report_failure)
                self._running[name] = task

    def _action(self, name: str, life: TenantLife, found: Resolved) -> Coroutine[None, None, None] | None:
        power = found.tenant.spec.power
        if power == "Suspended":
            return life.suspend("spec.power is Suspended") if life.gateway is not None else None
        if power == "AlwaysOn":
            return self._stay_awake(name) if life.gateway is None and life.backoff.wait(time.monotonic()) == 0 else None
        runtime = found.template.spec.runtime
        if (due := self._due(life, runtime)) is not None:
            return self._wake_for(name, due)
        quiet = self.idle_for(life)
        if quiet is None or quiet < found.idle_timeout or self._later.get(name, (0.0, ""))[0] > time.monotonic():
            return None
        reason = f"idle for {quiet:.0f} s"
        if self._suspends is None:
            return life.suspend(reason)
        return self._put_to_sleep(self._suspends(), life, runtime, reason)

    def _due(self, life: TenantLife, runtime: str) -> float | None:
        """Return when a sleeping tenant's timer is due, once it is time to wake for it."""
        due = life.timer.at if life.gateway is None else None
        if due is None or life.backoff.wait(time.monotonic()) > 0:
            return None
        cold = life.last_wake.ready if life.last_wake is not None else None
        return due if time.time() >= due - lead(runtime, cold) else None

    async def _wake_for(self, name: str, due: float) -> None:
        with contextlib.suppress(WakeFailed):
            await self._wake(name, "timer", f"its timer is due at {in_words(due)}")

    async def _put_to_sleep(self, suspends: Suspends, life: TenantLife, runtime: str, reason: str) -> None:
        later = await put_to_sleep(suspends, life, runtime, reason)
        if later is None:
            self._later.pop(life.name, None)
        else:
            self._later[life.name] = (time.monotonic() + later.seconds, later.why)

    def why_awake(self, name: str) -> str:
        """Return why an idle tenant could not sleep when that was tried last; empty: it was not, or it did."""
        until, why = self._later.get(name, (0.0, ""))
        return why if until > time.monotonic() - self._interval else ""

    async def _stay_awake(self, name: str) -> None:
        with contextlib.suppress(WakeFailed):
            await self._wake(name, "operator", "spec.power is AlwaysOn")

    def idle_for(self, life: TenantLife) -> float | None:
        """Return for how many seconds nobody has wanted anything of an awake gateway; None: somebody does, or it sleeps."""
        gateway = life.gateway
        if gateway is None or gateway.awake_since is None or gateway.stopping is not None:
            return None
        parks = self._suspends is not None
        return idle_for(self._activity.tenants.get(life.name), gateway.awake_since, time.time(), parks)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error of ours", task.get_name(), exc_info=error)
