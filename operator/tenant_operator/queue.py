"""A queue of keys: each at most once, never in two hands at a time, urgent ones first, failing ones later and later.

The same rules as client-go's workqueue: a key that is added while somebody works on it is handed out again afterwards.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF: Final = 0.25
"""Seconds after the first failure of a key: a conflict is over by then."""
MAX_BACKOFF: Final = 300.0
"""Seconds between tries of a key that keeps failing: what people repair is tried again within five minutes."""


class WorkQueue(Generic[K]):
    """Keys to work on. Holds no more than the keys that there are, so its bound is theirs."""

    def __init__(self, *, first_backoff: float = FIRST_BACKOFF, max_backoff: float = MAX_BACKOFF) -> None:
        self._urgent: OrderedDict[K, None] = OrderedDict()
        self._waiting: OrderedDict[K, None] = OrderedDict()
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}
        """Keys that were added while in work → whether urgently."""
        self._delayed: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        """Delayed keys → when they are due (loop time). Entries of the heap that differ are void."""
        self._failures: dict[K, int] = {}
        self._first, self._max = first_backoff, max_backoff
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._getting = asyncio.Lock()

    def __len__(self) -> int:
        """Keys that could be taken now."""
        return len(self._urgent) + len(self._waiting)

    @property
    def delayed(self) -> int:
        """Keys that wait for their time."""
        return len(self._due)

    @property
    def working(self) -> int:
        """Keys that somebody works on."""
        return len(self._working)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Have a key worked on soon; `urgent` ones before all others."""
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
            return
        self._due.pop(key, None)
        if urgent:
            self._waiting.pop(key, None)
            self._urgent[key] = None
        elif key not in self._urgent:
            self._waiting[key] = None
        self._changed.set()

    def add_after(self, key: K, delay: float) -> None:
        """Have a key worked on in so many seconds, unless that happens earlier anyway."""
        if key in self._urgent or key in self._waiting:
            return
        when = asyncio.get_running_loop().time() + delay
        if when >= self._due.get(key, float("inf")):
            return
        self._due[key] = when
        heapq.heappush(self._delayed, (when, next(self._order), key))
        self._changed.set()

    async def get(self) -> K:
        """Wait for a key and take it. `done` must follow, whatever happens."""
        async with self._getting:  # one waiter for the event; the others wait for the lock, in turn
            while True:
                pause = self._promote()
                for lane in (self._urgent, self._waiting):
                    if lane:
                        key, _ = lane.popitem(last=False)
                        self._working.add(key)
                        return key
                self._changed.clear()
                try:
                    async with asyncio.timeout(pause):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    def done(self, key: K) -> None:
        """Give a key back."""
        self._working.discard(key)
        urgent = self._again.pop(key, None)
        if urgent is not None:
            self.add(key, urgent=urgent)

    def failed(self, key: K, at_least: float = 0.0) -> float:
        """Have a key tried again after its back-off; return the seconds until then. To be called before `done`."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        delay = min(self._first * 2.0 ** min(count, 30), self._max)
        # Spread, so that a thousand keys that failed together don't come back together.
        delay = max(delay * random.uniform(0.8, 1.2), at_least)  # noqa: S311 - no secret
        self.add_after(key, delay)
        return delay

    def forgive(self, key: K) -> None:
        """Forget a key's failures: it worked."""
        self._failures.pop(key, None)

    def _promote(self) -> float | None:
        """Move what is due to the ordinary lane; return the seconds until the next one is."""
        now = asyncio.get_running_loop().time()
        while self._delayed:
            when, _, key = self._delayed[0]
            if self._due.get(key) != when:
                heapq.heappop(self._delayed)
            elif when > now:
                return when - now
            else:
                heapq.heappop(self._delayed)
                del self._due[key]
                self.add(key)
        return None
