"""Admission of wakes: so many at once, the rest in the fair queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..fleet import TenantRecord
from .fair_queue import FairQueue


class Admission:
    """A semaphore whose waiters are served in fair order between plans."""

    def __init__(self, concurrent: int, queued: int) -> None:
        self._free = concurrent
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(queued)

    @property
    def waiting(self) -> int:
        """Wakes that wait for their turn."""
        return len(self._queue)

    @asynccontextmanager
    async def turn(self, tenant: TenantRecord) -> AsyncIterator[None]:
        """Wait for a turn, and give it to the next one at the end.

        Raises
        ------
        QueueFull
            Too many wait already.
        """
        if self._free > 0:
            self._free -= 1
        else:
            ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.push(ready, tenant.plan, tenant.weight)
            try:
                await ready
            except asyncio.CancelledError:
                if not self._queue.remove(ready):
                    self._hand_on()  # the turn came while we were being cancelled
                raise
        try:
            yield
        finally:
            self._hand_on()

    def _hand_on(self) -> None:
        while (following := self._queue.pop()) is not None:
            if not following.done():
                following.set_result(None)
                return
        self._free += 1
