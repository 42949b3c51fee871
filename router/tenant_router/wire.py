"""One socket before it is relayed: read, write, connect, watch for its end, close so that the peer reads our last words."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import select
import socket

from .relay.selector import RelaySelector

READ_SIZE = 65536
"""Bytes asked for by one read: the largest first frame, or a hello, in one or two."""
LINGER = 1.0
"""Seconds in which a refused client may read our close frame before its unread input would reset the connection (trap 6)."""


class Wire:
    """A non-blocking socket that stays in the selector's epoll set, one-shot, until it is relayed, released or closed."""

    __slots__ = ("_asked", "_selector", "sock")

    def __init__(self, selector: RelaySelector, sock: socket.socket) -> None:
        self._selector = selector
        self.sock = sock
        self._asked = False
        """We sent last, so that the answer can't be there yet: to look for it at once would only raise an exception."""

    async def recv(self) -> bytes:
        """Return what the peer sent, at most `READ_SIZE` bytes.

        Raises
        ------
        ConnectionError
            The peer closed or reset the connection.
        """
        if self._asked:
            self._asked = False
            await self._selector.watch_input(self.sock)
        while True:
            try:
                data = self.sock.recv(READ_SIZE)
            except BlockingIOError:
                await self._selector.watch_input(self.sock)
                continue
            if not data:
                raise ConnectionResetError("closed by the peer")
            if len(data) == READ_SIZE:
                self._selector.read_part(self.sock)
            return data

    async def send(self, data: bytes) -> None:
        """Send all of it, waiting for room."""
        self._asked = True
        sent = self._send(data)
        while sent < len(data):
            await self._selector.watch(self.sock, select.EPOLLOUT)
            sent += self._send(memoryview(data)[sent:])

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def connect(self, address: tuple[str, int]) -> None:
        """Begin to connect to an address of numbers; the first `send` waits for the end of it, and hears of its failure.

        On loopback and in a pod network the connection is there before this returns, so that no event need be awaited.

        Raises
        ------
        OSError
            Refused or unreachable at once.
        """
        error = self.sock.connect_ex(address)
        if error and error != errno.EINPROGRESS:
            raise OSError(error, os.strerror(error))

    def abort_after(self, seconds: float) -> asyncio.TimerHandle:
        """Break the connection after so many seconds unless the timer is cancelled: whoever reads or sends gets an OSError.

        A timer of its own costs a quarter of `asyncio.timeout`.
        """
        assert self._selector.loop is not None
        return self._selector.loop.call_later(seconds, self._abort)

    def _abort(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def writable(self) -> asyncio.Future[None]:
        """Return a future that is done when there is room to send."""
        return self._selector.watch(self.sock, select.EPOLLOUT)

    def left(self) -> asyncio.Future[None]:
        """Return a future that is done when the peer has closed its side; reads nothing, so what it sent stays queued."""
        return self._selector.watch(self.sock, select.EPOLLRDHUP)

    def release(self) -> socket.socket:
        """Take the socket out of the selector, for another owner."""
        self._selector.release(self.sock)
        return self.sock

    def close(self) -> None:
        """Close at once."""
        self._selector.discard(self.sock)

    async def close_after(self, last_words: bytes) -> None:
        """Send, shut our side, read and drop what is still coming for at most `LINGER` seconds, close (FIN, never RST)."""
        try:
            if last_words:
                self.sock.send(last_words)
            self.sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(LINGER):
                while True:
                    await self.recv()
        except (OSError, TimeoutError):
            pass
        finally:
            self.close()


def tune(sock: socket.socket) -> None:
    """Set what every socket of the data plane has; accepted sockets inherit it from their listener."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A relayed WebSocket is not ours to ping, so the kernel finds dead peers (trap 5): probed after a minute of silence,
    # dropped after two without an answer.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 120_000)
