"""Pings whose pong says that a client has read all that it was sent before."""

from __future__ import annotations

import asyncio
import time
from typing import Final

PATIENCE: Final = 5.0
"""Seconds for a client to read on. Who has not by then is waited for no more, until it does."""


class Barriers:
    """The pings to one client that were not answered yet. Their payloads are numbers that go up."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[float, asyncio.Future[None]]] = {}
        """Number → when it was sent (time.monotonic), and what is done when it was read."""
        self._count = 0

    def ping(self) -> tuple[bytes, asyncio.Future[None]]:
        """Return the payload of a ping to be sent, and what is done once it is answered or the client is gone."""
        self._count += 1
        read: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        now = time.monotonic()
        sent, _ = next(iter(self._waiting.values()), (now, None))
        if now - sent > PATIENCE:
            read.set_result(None)
        else:
            self._waiting[self._count] = (now, read)
        return b"%d" % self._count, read

    def ponged(self, payload: bytes) -> None:
        """Take a pong; it answers all pings before it too (RFC 6455 section 5.5.3)."""
        if not payload.isdigit():
            return
        for number in [number for number in self._waiting if number <= int(payload)]:
            _done(self._waiting.pop(number)[1])

    def give_up(self) -> None:
        """The client will read nothing more."""
        for _, read in self._waiting.values():
            _done(read)
        self._waiting.clear()


def _done(read: asyncio.Future[None]) -> None:
    if not read.done():
        read.set_result(None)
