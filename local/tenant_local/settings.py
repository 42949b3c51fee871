"""What an operator can set on a local fleet, and the limits that are not theirs to set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEBOUNCE = 0.1
"""Seconds without a further change until edited files are read: editors write a file in several steps."""
SPAWN_TIMEOUT = 10.0
"""Seconds until a launcher says its PID: 15 ms when the machine is idle, so this means that the machine is stuck."""
KILL_TIMEOUT = 10.0
"""Seconds from SIGKILL until a process is gone; more means that it hangs in the kernel (a dead disk)."""
TAKEOVER_GRACE = 20.0
"""Seconds that a gateway left over by a killed fleet gets to end by itself; its clients are gone already."""
GRACE = {"native": 320.0, "openclaw": 330.0}
"""Seconds from SIGTERM to SIGKILL by runtime; both let a running turn end, for up to 315 s
(openclaw-protocol 2.5), and end within a second when there is none."""
MAX_LOG = 8 * 1024 * 1024
"""Bytes of a gateway.log until it is moved to gateway.log.1."""
LOG_TAIL = 2000
"""Bytes of a log that go into an error text."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """Settings of one local fleet."""

    directory: Path
    """Folder with the Tenant and TenantTemplate files."""
    data: Path
    """Folder for what tenants write, the master key, and the fleet's own state."""
    unconfined: bool = False
    """Serve several tenants even where they can't be kept apart."""
    allowed_origins: tuple[str, ...] = ()
    """Origins of browsers that gateways accept: those under which the router is reached."""
    forbidden_ports: frozenset[int] = frozenset()
    """TCP ports that no gateway may connect to whatever its config names: the router's and its admin port."""
    visible: tuple[Path, ...] = ()
    """Further files and folders that gateways may read and execute, e.g. a tool kit under /opt."""
    spares: int = 1
    """Launchers kept started ahead of need, so that a wake does not wait for Python's start; 0: none."""
    idle_check: float = 1.0
    """Seconds between looks at who is idle."""
