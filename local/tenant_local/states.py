"""What the fleet says of one tenant."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Where a tenant's gateway is in its life."""

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    SUSPENDING = "suspending"
    FAILED = "failed"
    """Asleep, because the last try to wake it came to nothing or it died; the next request tries again."""


@dataclass(slots=True)
class WakeTiming:
    """When the phases of a wake were over: seconds since the fleet was asked. None: not (yet)."""

    asked_at: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    clock: float = field(default_factory=time.monotonic)
    prepared: float | None = None
    """The volume is there, the config written, the lock taken."""
    launched: float | None = None
    """The gateway's process has been told what to become."""
    ready: float | None = None
    """It answered: a hello to the router, or `started` at /startupz."""

    def mark(self) -> float:
        """Return the seconds since the fleet was asked."""
        return time.monotonic() - self.clock

    def as_json(self) -> dict[str, float | None]:
        """Return the phases in seconds."""
        return {"askedAt": self.asked_at, "prepared": self.prepared, "launched": self.launched, "ready": self.ready}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a gateway did not come up, or died."""

    at: float
    """Seconds since the epoch."""
    text: str
    lasting: bool
    """It will not come up before a person has mended something."""


@dataclass(frozen=True, slots=True)
class Description:
    """One tenant, for `openclaw-tenancy tenants` and `why`."""

    name: str
    user_id: str
    template: str
    runtime: str
    power: str
    state: State
    since: float
    """Seconds since the epoch."""
    reason: str
    pid: int | None
    port: int | None
    connections: int
    parked: int
    """Those of them whose clients stay connected while it sleeps."""
    next_timer: float | None
    """When its next cron job is due, seconds since the epoch, while it sleeps; None: it has none."""
    last_request: float
    """Seconds since the epoch; 0: never since the start."""
    idle_timeout: float
    tokens: int
    wakes: int
    """Wakes since the fleet started."""
    last_wake: WakeTiming | None
    last_failure: Failure | None
    problem: str
    """What is wrong with its resources, so that edits do not apply; empty: nothing."""

    def as_json(self) -> dict[str, object]:
        """Return it as the CLI's --json prints it."""
        return {
            "name": self.name,
            "userId": self.user_id,
            "template": self.template,
            "runtime": self.runtime,
            "power": self.power,
            "state": str(self.state),
            "since": self.since,
            "reason": self.reason,
            "pid": self.pid,
            "port": self.port,
            "connections": self.connections,
            "parked": self.parked,
            "nextTimer": self.next_timer,
            "lastRequest": self.last_request,
            "idleTimeout": self.idle_timeout,
            "tokens": self.tokens,
            "wakes": self.wakes,
            "lastWake": self.last_wake.as_json() if self.last_wake else None,
            "lastFailure": {"at": self.last_failure.at, "text": self.last_failure.text} if self.last_failure else None,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Why:
    """The story of a tenant: what it is doing, why, and what happened before."""

    description: Description
    history: tuple[tuple[float, State, str], ...]
    """(when, state, why), oldest first."""
    log: str
    """The last lines of its log."""
    next: str
    """What would wake it or put it to sleep next."""

    def as_json(self) -> dict[str, object]:
        """Return it as the CLI's --json prints it."""
        events = [{"at": at, "state": str(state), "reason": reason} for at, state, reason in self.history]
        return {**self.description.as_json(), "history": events, "log": self.log, "next": self.next}
