"""Hands a router's clients over to its other replicas when it ends: tenant by tenant they hear 1012 while nothing is going on.

A client that hears it connects anew within a second, and shows nothing. What goes on is left alone until the deadline.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ..live import Connection, restarting
from .parked import Parked

if TYPE_CHECKING:
    from ..server import Router

SILENT: Final = 12_000
"""Milliseconds without data in either direction after which nothing is going on: upstream is silent for up to 10 s at the
beginning of a turn (openclaw-protocol 4.6)."""
PACE: Final = 0.1
"""Seconds between two looks at who is silent now."""


async def hand_over(router: Router, seconds: float, deadline: float) -> None:
    """Tell those who are quiet, spread evenly over `seconds`; return when nobody is left, or at the deadline (time.monotonic)."""
    began = time.monotonic()
    total = router.live.connections
    told = 0
    gone: set[Connection] = set()
    while (now := time.monotonic()) < deadline:
        due = total if now - began >= seconds else int(total * (now - began) / seconds)
        for neighbours in _by_tenant(_quiet(router, gone)):
            if told >= due:
                break
            # All at once: each that leaves is news (presence) to the others, who would not be silent after it.
            for connection in neighbours:
                told += 1
                gone.add(connection)
                _tell(router, connection)
        if not router.live.connections:
            return
        await asyncio.sleep(PACE)


def _quiet(router: Router, gone: set[Connection]) -> Iterator[Connection]:
    for connection in router.live.everyone():
        if connection in gone:
            continue
        if (parked := connection.away) is not None:
            if parked.machine.wanted is None:
                yield connection
        elif connection.pair is not None and not connection.pair.ending:
            try:
                silent = milliseconds_silent(connection.pair.gateway.sock)
            except OSError:
                continue
            if silent >= SILENT:
                yield connection


def _by_tenant(connections: Iterable[Connection]) -> list[list[Connection]]:
    found: dict[str, list[Connection]] = {}
    for connection in connections:
        found.setdefault(connection.match.tenant.key, []).append(connection)
    return list(found.values())


def _tell(router: Router, connection: Connection) -> None:
    if isinstance(connection.away, Parked):
        connection.away.goodbye(restarting())
    else:
        router.live.let_go(connection)


def milliseconds_silent(sock: socket.socket) -> int:
    """Return how long a TCP socket has neither sent nor received data (`tcpi_last_data_sent`, `tcpi_last_data_recv`)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
    return min(int.from_bytes(info[44:48], sys.byteorder), int.from_bytes(info[52:56], sys.byteorder))
