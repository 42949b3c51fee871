"""Waiting for processes on the event loop, by pidfd: no thread, no SIGCHLD handler, no mistake after PID reuse."""

from __future__ import annotations

import asyncio
import os
import signal


class Child:
    """A child process of ours. Its exit status is collected as soon as it ends, whoever waits."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        """Becomes the exit status: 0-255, or -N when signal N ended it."""
        self._loop.add_reader(self._descriptor, self._collect)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self.exited.done()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.running:
            # Not yet waited for, so the PID is still its own, as a zombie at worst.
            signal.pidfd_send_signal(self._descriptor, number)

    def _collect(self) -> None:
        result = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.exited.set_result(result.si_status if result.si_code == os.CLD_EXITED else -result.si_status)

    async def wait(self, timeout: float) -> int | None:
        """Return its exit status, or None when it still runs after so many seconds."""
        await asyncio.wait([self.exited], timeout=timeout)
        return self.exited.result() if self.exited.done() else None


class Stranger:
    """A process that is no child of ours: it can be signalled and awaited, its status not learned.

    Raises ProcessLookupError when there is none.
    """

    def __init__(self, pid: int) -> None:
        self._descriptor = os.pidfd_open(pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return

    async def wait(self, timeout: float) -> bool:
        """Tell whether it ended within so many seconds."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._descriptor, ended.set)
        try:
            async with asyncio.timeout(timeout):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._descriptor)
        return True

    def close(self) -> None:
        """Give up the handle."""
        os.close(self._descriptor)
