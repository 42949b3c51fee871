"""How long to wait before the API server is tried again."""

from __future__ import annotations

import random

FIRST = 0.1
LONGEST = 2.0
"""Seconds. Short, because revocations wait for it; a few watches that knock every two seconds load nobody."""


class Backoff:
    """Doubles from `FIRST` to `LONGEST`, with jitter so that replicas don't knock together."""

    def __init__(self) -> None:
        self._next = FIRST

    def pause(self) -> float:
        """Return the seconds to wait now."""
        pause, self._next = self._next, min(LONGEST, self._next * 2.0)
        return pause * random.uniform(0.7, 1.3)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._next = FIRST
