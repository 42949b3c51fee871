"""When tokens expire, for every fleet: their sockets must close within a second of it."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Final

from .fleet import TokenMatch

CHECK: Final = 0.25
"""Seconds between two looks for tokens that expired."""


class Expiries:
    """Tokens in the order of their expiry. Pure; time is passed in, in seconds since the epoch."""

    def __init__(self) -> None:
        self._ahead: list[tuple[float, bytes]] = []

    def note(self, digest: bytes, expires_at: float | None) -> None:
        """Take in a token that is new, or that expires at another time than before."""
        if expires_at is not None:
            heapq.heappush(self._ahead, (expires_at, digest))

    def due(self, now: float, find: Callable[[bytes], TokenMatch | None]) -> list[tuple[str, frozenset[str]]]:
        """Return whose tokens expired since the last call: keys of tenants, and the tokens' names.

        `find` tells who has a token by now: one that was taken away meanwhile, or lives longer, is not told.
        """
        found = []
        while self._ahead and self._ahead[0][0] <= now:
            at, digest = heapq.heappop(self._ahead)
            match = find(digest)
            if match is not None and match.expires_at == at:
                found.append((match.tenant.key, frozenset({match.token_name})))
        return found


async def tell_expired(
    expired: Callable[[float], list[tuple[str, frozenset[str]]]], revoked: Callable[[str, frozenset[str]], None]
) -> None:
    """Ask a fleet's registry time and again what expired, and say so to who closes the sockets. Runs until cancelled."""
    while True:
        await asyncio.sleep(CHECK)
        for key, tokens in expired(time.time()):
            revoked(key, tokens)
