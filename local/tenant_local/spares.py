"""Launchers started ahead of need: the wake then does not wait for an interpreter's start and imports."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from .process import Launcher, LaunchFailed, start
from .settings import KILL_TIMEOUT

log = logging.getLogger(__name__)


class Spares:
    """Hands out launchers that have not been told yet what to become. They know nothing of any tenant."""

    def __init__(self, flags: str, preload: Sequence[str], path: Sequence[str], count: int) -> None:
        self._flags = flags
        self._preload = tuple(preload)
        self._path = tuple(path)
        self._count = count
        self._ready: deque[Launcher] = deque()
        self._starting: set[asyncio.Task[Launcher]] = set()
        self._unwanted: set[asyncio.Task[Launcher]] = set()
        self._ending: set[asyncio.Future[int]] = set()
        self._refills: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self, preload: bool = True) -> Launcher:
        """Return a launcher: one that waits if there is one, else a new one.

        Raises
        ------
        LaunchFailed
            It can't be started.
        """
        while preload and self._ready:
            launcher = self._ready.popleft()
            if launcher.warden.running:
                self._refill_soon()
                return launcher
            launcher.close()
        launcher = await self._start(self._preload if preload else ())
        if preload:
            self._refill_soon()
        return launcher

    async def _start(self, preload: Sequence[str]) -> Launcher:
        task = asyncio.get_running_loop().create_task(start(self._flags, preload, self._path))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The start goes on to where its process is known, and can then be ended.
            self.give_back(task)
            raise

    def _refill_soon(self) -> None:
        """Start what is missing, but only after the gateway that just took one has had the CPU to itself."""
        if not self._closed and not self._refills and self._count:
            task = asyncio.get_running_loop().create_task(self._refill(pause=1.0))
            self._refills.add(task)
            task.add_done_callback(self._refills.discard)

    async def fill(self) -> None:
        """Start the spares, without a pause; a failure is the first wake's to report."""
        await self._refill(pause=0.0)

    async def _refill(self, pause: float) -> None:
        await asyncio.sleep(pause)
        while len(self._ready) < self._count and not self._closed:
            try:
                self._ready.append(await self._start(self._preload))
            except LaunchFailed as error:
                log.warning("no spare launcher: %s", error)
                return

    async def close(self) -> None:
        """End the spares and wait for them."""
        self._closed = True
        for task in self._refills:
            task.cancel()
        while pending := [*self._refills, *self._starting, *self._unwanted]:
            await asyncio.gather(*pending, return_exceptions=True)
        while self._ready:
            self._end(self._ready.popleft())
        if self._ending:
            await asyncio.wait(self._ending, timeout=KILL_TIMEOUT)

    def give_back(self, task: asyncio.Task[Launcher]) -> None:
        """End the launcher of a `take` whose caller has no use for it any more, now or when it is there."""
        self._unwanted.add(task)
        task.add_done_callback(self._end_result)

    def _end_result(self, task: asyncio.Task[Launcher]) -> None:
        self._unwanted.discard(task)
        if not task.cancelled() and task.exception() is None:
            self._end(task.result())

    def _end(self, launcher: Launcher) -> None:
        launcher.close()
        launcher.kill()
        self._ending.add(launcher.warden.exited)
        launcher.warden.exited.add_done_callback(self._ending.discard)
