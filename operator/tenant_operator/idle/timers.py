"""How long before its time a tenant is woken for its own schedule: as long as its runtime has lately taken to wake. Pure."""

from __future__ import annotations

from typing import Final

FIRST_GUESS: Final = {"native": 5.0, "openclaw": 20.0}
"""Seconds of a cold start before any was seen: three times what one takes on a free machine."""
MARGIN: Final = 1.5
"""A wake may take longer than the last ones did; being early costs seconds of an idle pod, being late the appointment."""
LEAST: Final = 3.0
"""Seconds: clocks of nodes and operator differ, and cron looks once a second."""
WEIGHT: Final = 0.3
"""Of the newest measurement; a slow node is remembered for some ten wakes."""


class Timers:
    """Cold starts as they were measured, by runtime."""

    def __init__(self) -> None:
        self._seconds = dict(FIRST_GUESS)

    def measured(self, runtime: str, seconds: float) -> None:
        """Take in how long a wake took, from the scaling to a ready pod."""
        before = self._seconds.get(runtime, seconds)
        # Slower counts at once, quicker slowly: it is the slow wake that misses an appointment.
        self._seconds[runtime] = max(seconds, before + WEIGHT * (seconds - before))

    def ahead(self, runtime: str) -> float:
        """Return how many seconds before its time a tenant is to be woken."""
        return max(LEAST, MARGIN * self._seconds.get(runtime, max(FIRST_GUESS.values())))
