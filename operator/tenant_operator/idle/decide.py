"""Whether an awake tenant stays awake, is asked to sleep, or is put to sleep unasked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..cache.records import PodRecord
from ..life import Life
from .routers import Seen

INSIST = 60.0
"""Seconds for which a tenant that is to be suspended may finish what it does."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What tenant and template say. Seconds."""

    power: str
    idle_timeout: float
    wake_timeout: float
    runtime: str
    routed: bool = True
    """Whether there are routers to converse with."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now."""

    action: Literal["stay", "ask", "stop"]
    reason: str = ""
    message: str = ""
    idle_for: float = 0.0


STAY = Decision("stay")


def idle_for(seen: Seen, awake_since: float, now: float) -> float | None:
    """Return for how many seconds nobody has wanted anything, or None while a request is on its way.

    Connected clients that ask for nothing don't count: the router parks them. A wake counts as wanting something: whoever
    asked for it may still be on the way.
    """
    if seen.opening or seen.waking:
        return None
    return max(0.0, now - max(seen.last_request, seen.last_seen, awake_since))


def decide(policy: Policy, life: Life, pod: PodRecord | None, trouble: str, seen: Seen | None, now: float) -> Decision:
    """Return what to do with a tenant whose Deployment has a replica; `seen` is None where not all routers answer."""
    if life.suspending:
        return STAY
    ready = pod is not None and pod.ready
    if policy.power == "Suspended":
        if not ready or not policy.routed or now - life.suspend_since >= INSIST:
            return Decision("stop", "Suspended", "spec.power is Suspended")
        return Decision("ask", "Suspended", "spec.power is Suspended") if now >= life.ask_again else STAY
    if policy.power == "AlwaysOn" or seen is None:
        return STAY
    if not ready:
        idle = idle_for(seen, life.scaled_up, now)
        if idle is None or now - life.scaled_up < policy.wake_timeout or idle < min(policy.idle_timeout, 60.0):
            return STAY
        return Decision("stop", "WakeFailed", f"the wake did not succeed and nobody waits any more: {trouble}", idle)
    assert pod is not None
    idle = idle_for(seen, max(pod.ready_since, life.scaled_up), now)
    if idle is None or idle < policy.idle_timeout or now < life.ask_again:
        return STAY
    return Decision("ask", "IdleTimeout", "", idle)
