"""An asyncio selector that also relays: the bytes of joined sockets are moved inside `select`, with no handle, task or
callback for each event. It returns to asyncio only when asyncio has something to do.

System calls are what a relayed message costs (epoll_wait, recv, send); this loop adds about 1 us to them, which is what
makes a relay in Python cost no more than HAProxy. `benchmarks/relay.py` holds it to that.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import socket
import time
from collections.abc import Callable, Iterator

from .follow import SIZES, WHOLE_TEXT
from .pair import NEVER, Detached, Pair, Side
from .pairs import EDGE, IN, ONESHOT, OUT, READ_SIZE, Pairs

EVENTS = 64
"""Events taken at once. What they bring is read first and written then: the peers, woken by the first writes, are still at
work when the others come, and a wake that is not needed is worth a twentieth of a message."""
BULK = 16 * 1024
"""Bytes of one read that are written at once, with all before them: so that never more than a megabyte is held here."""
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class RelaySelector(selectors.EpollSelector):
    """Selector of one event loop, and owner of the sockets that are relayed or about to be."""

    def __init__(self) -> None:
        super().__init__()
        # The same kernel epoll set under a descriptor of our own: what is registered here asyncio never hears of.
        self._epoll = select.epoll.fromfd(os.dup(self.fileno()))
        self._pairs = Pairs(self._epoll)
        self._waiters: dict[int, asyncio.Future[None]] = {}
        self._edges: set[int] = set()
        """Descriptors of watched sockets whose next input is an edge that epoll will report, so that none need be asked for."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """The loop that runs on this selector, set by it: what futures are made with."""

    def close(self) -> None:
        """Drop all pairs and close the epoll set; what still waits is cancelled."""
        for pair in list(self._pairs):
            self._pairs.drop(pair)
        self._epoll.close()
        super().close()

    # A socket before it is relayed.

    def watch(self, sock: socket.socket, events: int) -> asyncio.Future[None]:
        """Return a future that is done at the next of these epoll events of a socket, a hang-up, or an error.

        The socket stays in the epoll set until it is closed by `discard`, relayed or released. A socket has one watch at
        a time: a new one cancels the one before.
        """
        fd = sock.fileno()
        self._edges.discard(fd)
        return self._wait(fd, events | ONESHOT)

    def watch_input(self, sock: socket.socket) -> asyncio.Future[None]:
        """Return a future as `watch` does, of a socket of which all that had come was read when it was done the last time.

        It stays armed between two watches and into the relay, which saves a system call each; `read_part` takes that back.
        """
        assert self.loop is not None
        fd = sock.fileno()
        if fd in self._edges:
            self._waiters[fd].cancel()
            future = self._waiters[fd] = self.loop.create_future()
            return future
        self._edges.add(fd)
        return self._wait(fd, EDGE)

    def read_part(self, sock: socket.socket) -> None:
        """Hear that not all was read that had come."""
        self._edges.discard(sock.fileno())

    def _wait(self, fd: int, events: int) -> asyncio.Future[None]:
        assert self.loop is not None
        before = self._waiters.get(fd)
        if before is None:
            self._epoll.register(fd, events)
        else:
            before.cancel()
            self._epoll.modify(fd, events)
        future = self._waiters[fd] = self.loop.create_future()
        return future

    def discard(self, sock: socket.socket) -> None:
        """Close a socket that is not relayed."""
        self._edges.discard(sock.fileno())
        before = self._waiters.pop(sock.fileno(), None)
        if before is not None:
            before.cancel()
        sock.close()

    def release(self, sock: socket.socket) -> None:
        """Take a socket that is not relayed out of the epoll set, for another owner."""
        self._edges.discard(sock.fileno())
        before = self._waiters.pop(sock.fileno(), None)
        if before is not None:
            before.cancel()
            self._epoll.unregister(sock.fileno())

    # The relay.

    def relay(
        self,
        client: socket.socket,
        gateway: socket.socket,
        to_client: bytes = b"",
        to_gateway: bytes = b"",
        on_close: Callable[[Pair], None] | None = None,
        on_request: Callable[[bytes], bool] | None = None,
    ) -> Pair:
        """Join two connected, non-blocking sockets and own them from now on.

        Parameters
        ----------
        to_client, to_gateway:
            What was read from the other side already and comes first; each begins at a frame head.
        on_close:
            Called once, when both sockets are closed. Must not raise; runs inside `select`.
        on_request:
            Called with the unmasked first bytes of a client's message (empty: they could not be seen); once it returns True,
            nothing is looked at on this connection until the next `sweep`. Must neither raise nor schedule anything.
        """
        pair = Pair(Side(client, NEVER if on_request is None else 0), Side(gateway, NEVER), on_close, on_request)
        for side in (pair.client, pair.gateway):
            before = self._waiters.pop(side.fd, None)
            if before is None:
                self._epoll.register(side.fd, ONESHOT)
            else:
                before.cancel()
            if side.fd in self._edges:
                self._edges.discard(side.fd)
                side.armed = EDGE
        self._pairs.join(pair, to_client, to_gateway)
        return pair

    def inject(self, side: Side, frames: bytes) -> None:
        """Send whole frames to `pair.client` or `pair.gateway` as soon as what it is being sent stands between two messages.

        Dropped when that side's stream has ended, or has been ended by a close frame.
        """
        self._pairs.insert(side, frames)

    def close_pair(self, pair: Pair, to_client: bytes, to_gateway: bytes, seconds: float) -> None:
        """Say goodbye to both sides, each between two messages: last frames, FIN, then read and drop until they close too.

        Whoever has not after so many seconds is dropped.
        """
        self._pairs.close(pair, to_client, to_gateway, seconds)

    def drop_pair(self, pair: Pair) -> None:
        """Close both sockets at once (idempotent)."""
        self._pairs.drop(pair)

    def lift(self, pair: Pair) -> asyncio.Future[Detached]:
        """Take both sockets out when both directions stand between two messages.

        They are their owner's again: nothing reads them until they are watched or relayed. Whoever gets them can join
        them again with `relay`, beginning with what had been read of each. `on_close` is not called. Cancelling the
        future lets the relay go on; it fails with ConnectionError when a side closes first.
        """
        assert self.loop is not None
        return self._pairs.lift(pair, self.loop)

    def say_when_lost(self, frames: bytes) -> None:
        """Set what a client gets whose gateway's stream ends between two messages without a close frame."""
        self._pairs.lost = frames

    def keep_when_lost(self, keep: Callable[[Pair], Callable[[Detached], None] | None]) -> None:
        """Set who is asked then first: who takes this client instead? Runs inside `select`, as does the one it returns."""
        self._pairs.keep = keep

    def sweep(self) -> None:
        """Drop pairs whose time is over, begin the next second of looking for requests. To be called once a second."""
        self._pairs.sweep()

    def pairs(self) -> Iterator[Pair]:
        """Iterate over the pairs that are relayed; they may be closed meanwhile."""
        return iter(self._pairs)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Relay until asyncio has something to do or `timeout` (seconds) is over."""
        poll, pairs, sizes = self._epoll.poll, self._pairs, SIZES
        flowing, second, read = pairs.flowing.get, pairs.second, os.read
        taken: list[tuple[Side, bytes]] = []
        put = taken.append
        ready: list[tuple[selectors.SelectorKey, int]] = []
        # What a callback schedules is not seen by asyncio until this returns: return after every rare event (trap 10).
        leave = False
        wait = timeout if timeout is None or timeout > 0 else 0
        end = time.monotonic() + wait if wait else 0
        while True:
            for fd, events in poll(wait, EVENTS):
                side = flowing(fd)
                if side is None:
                    leave |= self._other(fd, events, ready)
                elif events == IN:
                    # The way of nearly every message: two system calls, one look at the frame head. `os.read` and
                    # `os.write` by number, because each object less that a message touches is a cache miss less.
                    try:
                        data = read(fd, READ_SIZE)
                    except BlockingIOError:
                        continue
                    except OSError:
                        pairs.event(side, events)
                        leave = True
                        continue
                    if not data:
                        pairs.input_ended(side)
                        leave = True
                        continue
                    size = len(data)
                    left = side.left
                    if left >= size:
                        side.left = left - size
                    elif side.looked < second:
                        pairs.look(side, data)
                    elif (
                        left
                        or size < 4
                        or data[0] != WHOLE_TEXT
                        # Not one whole frame: otherwise this is all that `advance` would do.
                        or (
                            (whole := sizes[data[1]]) != size
                            and (whole >= 0 or (data[2] << 8 | data[3]) - whole != size)
                        )
                    ):
                        side.advance(data, size)
                    put((side, data))
                    if size > BULK:
                        leave |= self._write(taken)
                else:
                    pairs.event(side, events)
                    leave = True
            if taken:
                leave |= self._write(taken)
            if ready or leave or wait == 0:
                return ready
            if wait:
                wait = end - time.monotonic()
                if wait <= 0:
                    return ready

    def _write(self, taken: list[tuple[Side, bytes]]) -> bool:
        """Pass on what was read from flowing sides, in that order; whether anything rare came of it."""
        pairs, write, rare = self._pairs, os.write, False
        for side, data in taken:
            if side.muted:  # its peer was closed since
                continue
            size = len(data)
            try:
                sent = write(side.far, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                pairs.broken(side.peer)
                pairs.settle(side.pair)
                rare = True
                continue
            if sent != size:
                pairs.stalled(side.peer, memoryview(data)[sent:])
            elif size == READ_SIZE:
                pairs.again(side)
        taken.clear()
        return rare

    def _other(self, fd: int, events: int, ready: list[tuple[selectors.SelectorKey, int]]) -> bool:
        """Handle an event of a careful side, a watched socket, one of asyncio's, or of a socket closed just now."""
        side = self._pairs.careful.get(fd)
        if side is not None:
            self._pairs.event(side, events)
            return True
        waiter = self._waiters.get(fd)
        if waiter is not None:
            if events != IN or waiter.done():
                # An end, which no second edge tells of, or input that nobody waits for: to be asked for again.
                self._edges.discard(fd)
            if not waiter.done():
                waiter.set_result(None)
            return True
        key = self.get_map().get(fd)
        if key is not None:
            ready.append((key, ((READ if events & ~OUT else 0) | (WRITE if events & ~IN else 0)) & key.events))
        return False
