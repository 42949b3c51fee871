"""What the steps of the conversation are answered; as JSON on the admin port, as they are in one process."""

from __future__ import annotations

import msgspec


class NoSuchTenant(Exception):
    """This router knows no such tenant."""


class OtherIncarnation(Exception):
    """The router knows another incarnation of the tenant's gateway than the one that was named."""


class Fenced(msgspec.Struct, frozen=True, rename="camel"):
    """`fence`: whether nothing passes to the gateway from now on."""

    quiet: bool
    busy: str | None
    """Why not: what is going on; None when quiet."""
    connections: int
    """Clients that are connected to this router."""
    parked: int
    """Those of them that are parked already."""
    last_request: float
    """Seconds since 1970; 0: never here."""


class Prepared(msgspec.Struct, frozen=True, rename="camel"):
    """`prepare`: what the gateway says."""

    status: str
    """`ready` or `busy`."""
    reason: str | None = None
    """What keeps it busy."""
    retry_after_ms: int | None = None
    """When to ask again."""
    next_wake_at_ms: int | None = None
    """When its next cron job is due, ms since 1970; None: it has none."""


class Parked(msgspec.Struct, frozen=True, rename="camel"):
    """`park`: what became of the clients."""

    parked: int
    closed: int
    """Clients that could not be parked and were told to connect anew."""
