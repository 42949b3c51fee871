"""What the operator remembers of a tenant between two looks, and need not survive it: the rest is in its status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .reconcile.provisioning import Settled

WakeReason = Literal["Connection", "Timer", "AlwaysOn"]


@dataclass(slots=True)
class Life:
    """One tenant. Times are seconds since 1970; 0: never, as far as is known."""

    wake_reason: WakeReason = "Connection"
    """Why it is or was awake last. The router only scales up, so whatever the operator did not do was a connection."""
    scaled_up: float = 0.0
    """When its Deployment was first seen with a replica."""
    last_request: float = 0.0
    """The last real request that any router has seen."""
    connections: int = 0
    parked: int = 0
    idle: tuple[str, str] | None = None
    """Reason and message of the condition Idle, as the last attempt to put it to sleep left it."""
    ask_again: float = 0.0
    """When it may be asked again whether it can sleep."""
    refusals: int = 0
    """How often in a row it was busy."""
    suspending: bool = False
    """A conversation about its sleep is under way."""
    suspend_since: float = 0.0
    """Since when its owner wants it suspended."""
    slept: bool = False
    """The operator has scaled it down."""
    sleep_note: str = ""
    """What the Event says of that: the same words for the same cause, so that it is one Event that is counted."""
    scaled_down: float = 0.0
    """When it did; what is seen of the Deployment shortly after may be older."""
    next_wake: float | None = None
    """When its own schedule wants it awake, as its gateway said last; 0: never; None: not looked up in its status yet."""
    runtime: str = ""
    """Of the template that it was accepted with last; empty: with none since the operator started."""
    calmed: str = ""
    """UID of the pod whose CPU was limited after its start, or could not be."""
    settled: Settled | None = None
    """What was true when nothing was to be applied last."""
    said: set[str] = field(default_factory=set)
    """Events told about the present state, so that they are not told again."""


class Lives:
    """All tenants' lives, by namespace and name."""

    def __init__(self) -> None:
        self._lives: dict[tuple[str, str], Life] = {}

    def of(self, name: tuple[str, str]) -> Life:
        """Return a tenant's life, beginning it at first use."""
        life = self._lives.get(name)
        if life is None:
            life = self._lives[name] = Life()
        return life

    def known(self, name: tuple[str, str]) -> Life | None:
        """Return a tenant's life, if it has begun."""
        return self._lives.get(name)

    def end(self, name: tuple[str, str]) -> None:
        """Forget a tenant."""
        self._lives.pop(name, None)
