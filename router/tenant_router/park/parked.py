"""A client without a gateway: its socket, and what it is answered meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from typing import TYPE_CHECKING

from .machine import Machine, Phase

if TYPE_CHECKING:
    from ..live import Connection
    from .lot import Lot

READ = 64 * 1024
"""Bytes read at once; a parked client sends polls."""


class Parked:
    """One parked connection. Holds no task and no timer while it is parked."""

    __slots__ = ("_lot", "_watch", "connection", "machine", "slot", "sock", "task")

    def __init__(self, lot: Lot, connection: Connection, sock: socket.socket, machine: Machine) -> None:
        self._lot = lot
        self.connection = connection
        self.sock = sock
        self.machine = machine
        self.slot = 0
        """In which second of the ticks' round it is told that all is well."""
        self.task: asyncio.Task[None] | None = None
        """What brings it back to a gateway; None: it is parked."""
        self._watch: asyncio.Future[None] | None = None

    def listen(self) -> None:
        """Wait for what the client sends."""
        self._watch = self._lot.selector.watch(self.sock, select.EPOLLIN | select.EPOLLRDHUP)
        self._watch.add_done_callback(self._readable)

    def _readable(self, watch: asyncio.Future[None]) -> None:
        if watch.cancelled() or watch is not self._watch:  # released meanwhile: the socket is another's
            return
        try:
            data = self.sock.recv(READ)
        except BlockingIOError:
            self.listen()
            return
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        self.say(self.machine.from_client(data))
        if self.sock.fileno() < 0:
            return
        if self.machine.phase is Phase.CLOSED:
            self.end()
        elif self.machine.wanted is not None:
            self._lot.wanted(self)
        else:
            self.listen()

    def watch_end(self) -> None:
        """Read nothing more, so that requests wait in the kernel; hear only of the client's end."""
        self._watch = self._lot.selector.watch(self.sock, select.EPOLLRDHUP)
        self._watch.add_done_callback(self._left)

    def _left(self, watch: asyncio.Future[None]) -> None:
        if not watch.cancelled() and watch is self._watch:
            self.end()

    def say(self, frames: bytes) -> None:
        """Send whole frames. A client that takes no more has not read for minutes, and is dropped."""
        if not frames:
            return
        try:
            sent = self.sock.send(frames)
        except OSError:
            sent = 0
        if sent < len(frames):
            self.end()

    def goodbye(self, frames: bytes) -> None:
        """Send last frames and end; nothing waits for the client's answer to a close frame."""
        with contextlib.suppress(OSError):
            self.sock.send(frames)
            self.sock.shutdown(socket.SHUT_WR)
            # Unread input would turn the close into a reset, and the frames above would be lost with it (trap 6).
            while self.sock.recv(READ):
                pass
        self.end()

    def end(self) -> None:
        """Close the socket and take it off the books (idempotent)."""
        if self.sock.fileno() < 0:
            return
        self._lot.selector.discard(self.sock)
        self._watch = None
        if self.task is not None:
            self.task.cancel()
        self._lot.ended(self)

    def release(self) -> socket.socket:
        """Take the socket out, for the relay."""
        self._lot.selector.release(self.sock)
        self._watch = None
        return self.sock
