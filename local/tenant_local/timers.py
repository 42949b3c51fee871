"""When a sleeping tenant has to be awake by itself: the next cron job of its gateway, kept on disk while it sleeps."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Final

from .layout import TenantPaths, replace

UNMEASURED: Final = {"native": 3.0, "openclaw": 25.0}
"""Seconds of a cold start that was not measured yet, by runtime: what a loaded machine takes."""
MARGIN: Final = 2.0
"""Seconds that a gateway is awake before its job is due, besides its cold start: a scheduler looks once a second."""
CAUTION: Final = 1.5
"""Times the last cold start: the next one may find the machine busier."""


class Timer:
    """The next time that one tenant has to be awake."""

    def __init__(self, paths: TenantPaths) -> None:
        self._path: Path = paths.root / "next-wake.json"
        self._known = False
        self._at: float | None = None

    @property
    def at(self) -> float | None:
        """When its next job is due, seconds since the epoch; None: it has none, or nobody knows."""
        if not self._known:
            self._known = True
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                found = json.loads(self._path.read_text()).get("nextWakeAtMs")
                self._at = found / 1000 if found is not None else None
        return self._at

    def keep(self, next_wake_at_ms: int | None) -> None:
        """Keep what the gateway said before it slept."""
        self._known = True
        self._at = next_wake_at_ms / 1000 if next_wake_at_ms is not None else None
        with contextlib.suppress(OSError):
            replace(self._path, json.dumps({"nextWakeAtMs": next_wake_at_ms}).encode())

    def done(self) -> None:
        """Forget it: its gateway is awake and keeps its own time. Not on disk: should the fleet be killed, its next one wakes
        the tenant once more than needed, rather than never."""
        self._known, self._at = True, None


def lead(runtime: str, cold_start: float | None) -> float:
    """Return the seconds that a wake must begin before the job is due."""
    return (cold_start * CAUTION if cold_start is not None else UNMEASURED.get(runtime, 25.0)) + MARGIN


def in_words(at: float) -> str:
    """Return a time of day, for people."""
    return time.strftime("%H:%M:%S", time.localtime(at))
