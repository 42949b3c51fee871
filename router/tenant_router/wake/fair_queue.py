"""A queue that is fair between plans: weighted fair queueing with virtual time. Pure, no I/O."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class QueueFull(Exception):
    """The queue is at its bound."""


class FairQueue(Generic[Item]):
    """Items leave in the order of their virtual finish time: a plan of weight 2 gets two turns for one of weight 1.

    A plan that was idle gains no credit, and inside one plan first come is first served (self-clocked fair queueing,
    Golestani 1994).
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._heap: list[tuple[float, int, Item]] = []
        self._removed: set[int] = set()
        self._tickets: dict[Item, int] = {}
        self._finish: dict[str, float] = {}
        self._now = 0.0
        self._count = count()

    def __len__(self) -> int:
        return len(self._tickets)

    def push(self, item: Item, plan: str, weight: int) -> None:
        """Queue an item that is not queued yet.

        Raises
        ------
        QueueFull
            `bound` items wait already.
        """
        if len(self._tickets) >= self._bound:
            raise QueueFull
        finish = max(self._now, self._finish.get(plan, 0.0)) + 1.0 / max(weight, 1)
        self._finish[plan] = finish
        ticket = next(self._count)
        self._tickets[item] = ticket
        heapq.heappush(self._heap, (finish, ticket, item))

    def pop(self) -> Item | None:
        """Take the item whose turn it is, or None when nothing waits."""
        while self._heap:
            finish, ticket, item = heapq.heappop(self._heap)
            if ticket in self._removed:
                self._removed.discard(ticket)
                continue
            del self._tickets[item]
            self._now = finish
            if not self._tickets:
                self._finish.clear()
                self._now = 0.0
            return item
        return None

    def remove(self, item: Item) -> bool:
        """Take an item out of turn; False when it does not wait."""
        ticket = self._tickets.pop(item, None)
        if ticket is None:
            return False
        self._removed.add(ticket)
        return True
