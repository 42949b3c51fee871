"""What bounds a client and a stranger: wrong tokens per address, requests per minute and tenant. Pure; time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

# Upstream's defaults for gateway.auth.rateLimit (openclaw-protocol 2.3); loopback is exempt there too.
MAX_FAILURES = 10
FAILURE_WINDOW = 60.0
LOCKOUT = 300.0
MAX_ADDRESSES = 10_000
"""Addresses remembered; beyond, the one that failed longest ago is forgotten, so a botnet costs bounded memory."""
MINUTE: Final = 60.0
"""Seconds in which an empty bucket of requests is full again."""


class AuthFailures:
    """Counts wrong tokens per client address, and locks an address out that keeps guessing."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """address → (failures, end of its window, or of its lockout once there are `MAX_FAILURES`)."""

    def locked(self, address: str, now: float) -> float:
        """Return the seconds for which this address is still locked out; 0: it is not."""
        failures, until = self._seen.get(address, (0, 0.0))
        return until - now if failures >= MAX_FAILURES and until > now else 0.0

    def failed(self, address: str, now: float) -> None:
        """Count one wrong token."""
        failures, until = self._seen.pop(address, (0, 0.0))
        if until <= now:
            failures, until = 0, now + FAILURE_WINDOW
        failures += 1
        if failures == MAX_FAILURES:
            until = now + LOCKOUT
        self._seen[address] = (failures, until)
        if len(self._seen) > MAX_ADDRESSES:
            self._seen.popitem(last=False)


class RequestRate:
    """A token bucket per tenant: a minute's worth may come at once, then they come at the rate of the limit.

    A bucket is full again after a minute without a request, whatever the limit, and then as good as none: those kept are of
    tenants that asked within the last two minutes.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tenant → (level, when it was that)."""
        self._swept = 0.0

    def take(self, key: str, per_minute: int | None, now: float) -> float:
        """Take one request; return 0, or the seconds until there is room for the next."""
        if per_minute is None:
            return 0.0
        if now - self._swept >= MINUTE:
            self._swept = now
            self._buckets = {one: (level, at) for one, (level, at) in self._buckets.items() if now - at < MINUTE}
        level, at = self._buckets.get(key, (float(per_minute), now))
        level = min(float(per_minute), level + (now - at) * per_minute / MINUTE)
        if level < 1.0:
            self._buckets[key] = (level, now)
            return (1.0 - level) * MINUTE / per_minute
        self._buckets[key] = (level - 1.0, now)
        return 0.0
