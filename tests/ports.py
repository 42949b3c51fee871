"""Free loopback ports for programs that must be told one."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port that was free a moment ago. Prefer port 0 wherever the program can say what it got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
