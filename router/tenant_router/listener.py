"""The listening socket: accepts without ever spinning, and stops accepting while too many handshakes are open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from .settings import BACKLOG, OPENING_TIMEOUT
from .wire import tune

ACCEPT_BURST = 64
"""Connections taken per readiness event, so that a storm does not starve what is relayed meanwhile."""
PAUSE = 0.05
"""Seconds without accepting when descriptors or handshakes ran out; the kernel's backlog is the queue."""


class Listener:
    """One listening TCP socket."""

    def __init__(
        self, sock: socket.socket, full: Callable[[], bool], accepted: Callable[[socket.socket, str], None]
    ) -> None:
        self.sock = sock
        self._full = full
        self._accepted = accepted
        self._family = sock.family
        self._loop = asyncio.get_running_loop()
        self._paused: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock, self._ready)

    def _ready(self) -> None:
        for _ in range(ACCEPT_BURST):
            if self._full():
                return self._pause()
            try:
                # `accept` would look up names of family and type for each socket, at a hundredth of a connection's cost.
                descriptor, address = self.sock._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return None
            except OSError:  # out of descriptors, or the client left meanwhile
                return self._pause()
            client = socket.socket(self._family, socket.SOCK_STREAM, 0, fileno=descriptor)
            client.setblocking(False)
            self._accepted(client, address[0])
        return None

    def _pause(self) -> None:
        self._loop.remove_reader(self.sock)
        self._paused = self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        self._paused = None
        self._loop.add_reader(self.sock, self._ready)

    def close(self) -> None:
        """Stop accepting and close the socket; what waits in the backlog is refused by the kernel."""
        if self.sock.fileno() == -1:
            return
        if self._paused is not None:
            self._paused.cancel()
        self._loop.remove_reader(self.sock)
        self.sock.close()


def listening_socket(host: str, port: int) -> socket.socket:
    """Bind and listen.

    Raises
    ------
    OSError
        The address is taken or not this machine's.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tune(sock)
        # Wakes us only when the request has arrived, not for the bare connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(OPENING_TIMEOUT))
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
