"""How long a gateway that keeps dying is left alone."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 1.0
"""Seconds after the second death in a row; after the first one the next request tries at once."""
LONGEST = 60.0
STABLE = 60.0
"""Seconds that a gateway must have been awake for its death to count as the first again."""


@dataclass(slots=True)
class Backoff:
    """Counts deaths in a row. Times are monotonic seconds."""

    deaths: int = 0
    until: float = 0.0

    def died(self, now: float, awake_for: float) -> None:
        """Count a gateway that ended by itself or never came up, after so many seconds awake."""
        self.deaths = 1 if awake_for >= STABLE else self.deaths + 1
        pause = 0.0 if self.deaths < 2 else min(LONGEST, FIRST * 2.0 ** min(self.deaths - 2, 10))
        self.until = now + pause

    def wait(self, now: float) -> float:
        """Return the seconds until the next try is allowed."""
        return max(0.0, self.until - now)

    def reset(self) -> None:
        """Forget: something changed that may have been the cause, or it ended as it should."""
        self.deaths = 0
        self.until = 0.0
