"""How many gateways were started for each tenant within the last hour (`spec.limits.wakesPerHour`). Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

HOUR: Final = 3600.0
"""Seconds that a start counts."""


class WakeRate:
    """Starts by tenant: of those that were woken within the last two hours, and of each as many as its highest limit at most."""

    def __init__(self) -> None:
        self._starts: dict[str, deque[float]] = {}
        self._swept = 0.0

    def wait(self, tenant: str, limit: int, now: float) -> float:
        """Return the seconds until the tenant may be woken again; 0: at once. `now`: monotonic."""
        starts = self._starts.get(tenant, ())
        return max(0.0, HOUR - (now - starts[-limit])) if len(starts) >= limit else 0.0

    def count(self, tenant: str, now: float) -> None:
        """Take a start."""
        starts = self._starts.setdefault(tenant, deque())
        while starts and now - starts[0] >= HOUR:
            starts.popleft()
        starts.append(now)
        if now - self._swept >= HOUR:
            self._swept = now
            self._starts = {key: kept for key, kept in self._starts.items() if now - kept[-1] < HOUR}
