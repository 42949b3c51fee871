"""What an operator can set on a router, and the limits that are not theirs to set."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

Network = IPv4Network | IPv6Network

MAX_HEAD = 16 * 1024
"""Bytes of an HTTP request head; what nginx and Node allow by default, so no client of theirs is refused here."""
MAX_FIRST_FRAME = 64 * 1024
"""Bytes of the first client message, as upstream's gateway limits it (openclaw-protocol 3.1)."""
OPENING_TIMEOUT = 15.0
"""Seconds from accept to a complete `connect` request, as upstream's gateway (openclaw-protocol 3.1)."""
DIAL_TIMEOUT = 5.0
"""Seconds for one TCP connect and handshake with a gateway that is up; loopback and pod networks answer in milliseconds."""
MAX_OPENING = 1000
"""Connections that have not said `connect` yet; beyond, the kernel's backlog waits (slowloris bound)."""
BACKLOG = 4096
"""listen(2) backlog: a reconnect storm after a restart waits there instead of being refused."""


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """Settings of one router process."""

    listen: tuple[str, int] = ("127.0.0.1", 18789)
    admin: tuple[str, int] = ("127.0.0.1", 18790)
    trusted_proxies: tuple[Network, ...] = ()
    """Peers whose `X-Forwarded-For/Proto/Host` are believed; from anybody else those headers are dropped."""
    control_ui: Path | None = None
    """Folder of the Control UI's static files; None: not served."""
    drain_timeout: float = 30.0
    """Seconds from SIGTERM until connections that did not end are dropped."""
    handover: float = 0.0
    """Seconds of them over which quiet clients are told to connect anew, to another replica; 0: there is none, all are told at
    once."""
    max_concurrent_wakes: int = 8
    """Wakes that run at once; the rest wait in the fair queue."""
    max_queued_wakes: int = 1000
    """Wakes that wait; beyond, clients hear "not yet" at once."""
