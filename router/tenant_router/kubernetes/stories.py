"""What happened to each tenant lately, for `why`. In memory, bounded: it explains, nothing is decided by it."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from .trouble import Trouble

MAX_STORIES = 5000
"""Tenants with a story: those that changed last. A story is 2 KiB."""
MAX_CHAPTERS = 20
"""Changes that are remembered of one tenant."""


@dataclass(slots=True)
class WakePhases:
    """When the phases of one wake were over, time.monotonic(); 0: not (yet)."""

    asked: float = field(default_factory=time.monotonic)
    asked_at: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    reason: str = ""
    patched: float = 0.0
    """The API server has taken the scale."""
    pod: float = 0.0
    """The pod exists."""
    scheduled: float = 0.0
    """It has a node."""
    address: float = 0.0
    """It has an address to dial."""
    insisted: float = 0.0
    """The scale was sent again, because no pod came."""


@dataclass(slots=True)
class Story:
    """What is known of one tenant's past."""

    state: str = "asleep"
    since: float = field(default_factory=time.time)
    reason: str = "no pod when the router started"
    chapters: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=MAX_CHAPTERS))
    """(when, state, why), oldest first."""
    wakes: int = 0
    last_wake: WakePhases | None = None
    last_failure: tuple[float, Trouble] | None = None

    def turn(self, state: str, reason: str) -> None:
        """Go on to another state; the same one again is no news."""
        if state != self.state:
            self._tell(state, reason)

    def waking(self, phases: WakePhases) -> None:
        """Note that a wake has begun. One that follows a failure is only told once it comes to something else."""
        self.last_wake = phases
        if self.state not in ("failed", "awake"):
            self.turn("waking", phases.reason)

    def failed(self, trouble: Trouble) -> None:
        """Note that a wake came to nothing; the same failure again, a second later, is no news."""
        self.last_failure = (time.time(), trouble)
        if (self.state, self.reason) != ("failed", trouble.text):
            self._tell("failed", trouble.text)

    def _tell(self, state: str, reason: str) -> None:
        self.state, self.since, self.reason = state, time.time(), reason
        self.chapters.append((self.since, state, reason))

    def history(self) -> list[dict[str, Any]]:
        """Return the chapters as `why` prints them."""
        return [{"at": at, "state": state, "reason": reason} for at, state, reason in self.chapters]


class Stories:
    """Stories by tenant."""

    def __init__(self) -> None:
        self._stories: OrderedDict[str, Story] = OrderedDict()

    def of(self, key: str) -> Story:
        """Return a tenant's story, beginning it on first use."""
        story = self._stories.get(key)
        if story is None:
            story = self._stories[key] = Story()
            if len(self._stories) > MAX_STORIES:
                self._stories.popitem(last=False)
        else:
            self._stories.move_to_end(key)
        return story

    def look(self, key: str) -> Story | None:
        """Return a tenant's story, if it has one."""
        return self._stories.get(key)

    def forget(self, key: str) -> None:
        """Drop a story: the tenant was removed."""
        self._stories.pop(key, None)
