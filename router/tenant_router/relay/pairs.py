"""What happens to relayed pairs besides plain traffic: full buffers, ends, insertions, goodbyes, lifting.

Nothing here is on the way of a message between two peers that both keep up; that is `RelaySelector.select`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Iterator

from .follow import Buffer, beginning_of_whole
from .pair import UNKNOWN, Detached, Pair, Side

IN, OUT, RDHUP, ONESHOT = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP, select.EPOLLONESHOT
EDGE = IN | RDHUP | select.EPOLLET
"""What a flowing side waits for. Edge-triggered: the kernel need not look again at each socket that was ready before. One
read that does not fill the buffer has taken everything; RDHUP tells of an end that came together with the last bytes."""
READ_SIZE = 126 * 1024
"""Bytes asked for by one read. Bulk costs less the larger it is, but from 128 KiB on malloc would map and unmap pages for each
read (M_MMAP_THRESHOLD); what a read does not fill is given back before anything else is allocated."""
LINGER = 30.0
"""Seconds that a pair lives on when one of its sides has closed; a silent peer would keep it for ever (trap 8)."""


class Pairs:
    """All relayed pairs of one selector."""

    def __init__(self, epoll: select.epoll) -> None:
        self.flowing: dict[int, Side] = {}
        """By descriptor: sides whose input goes straight to their peer."""
        self.careful: dict[int, Side] = {}
        """By descriptor: all others. A descriptor is in one of the two or in neither, so a stale event finds nobody (trap 9)."""
        self.lost = b""
        """Put in to a client whose gateway's stream ends between two messages and without a close frame."""
        self.keep: Callable[[Pair], Callable[[Detached], None] | None] | None = None
        """Asked then, of a client that stands between two messages too: who takes it instead; None: nobody."""
        self.second = 1
        """Counts the sweeps: at most one request of a connection is looked for in each."""
        self._epoll = epoll
        self._ending: set[Pair] = set()

    def __iter__(self) -> Iterator[Pair]:
        sides = [*self.flowing.values(), *self.careful.values()]
        return iter(dict.fromkeys(side.pair for side in sides if not side.pair.client.dead))

    def __len__(self) -> int:
        return (len(self.flowing) + len(self.careful) + 1) // 2

    def join(self, pair: Pair, to_client: bytes, to_gateway: bytes) -> None:
        """Begin: both sockets are in the epoll set already. What is to be sent first begins at a frame head."""
        client, gateway = pair.client, pair.gateway
        if to_client:
            gateway.advance(to_client, len(to_client))
            self._put(client, memoryview(to_client))
        if to_gateway:
            self._follow(client, memoryview(to_gateway))
            self._put(gateway, memoryview(to_gateway))
        self.settle(pair)

    def insert(self, side: Side, data: bytes) -> None:
        """Send whole frames to a side as soon as what it is being sent stands between two messages."""
        if not side.dead:
            self._insert(side, data, last=False)
            self.settle(side.pair)

    def close(self, pair: Pair, to_client: bytes, to_gateway: bytes, seconds: float) -> None:
        """Say goodbye to both, each between two messages: last frames, then FIN, then their input is read and dropped.

        Whoever has not closed its side after so many seconds is dropped.
        """
        if pair.over:
            return
        self._insert(pair.client, to_client, last=True)
        self._insert(pair.gateway, to_gateway, last=True)
        self._end_within(pair, seconds)
        self.settle(pair)

    def drop(self, pair: Pair) -> None:
        """Close both sockets now (idempotent)."""
        if pair.over:
            return
        self._ending.discard(pair)
        for side in (pair.client, pair.gateway):
            if not side.dead:
                if not side.shut and not side.eof:
                    with contextlib.suppress(OSError):
                        side.sock.shutdown(socket.SHUT_WR)
                self._bury(side)
        if pair.lifting is not None and not pair.lifting.done():
            pair.lifting.set_exception(ConnectionResetError("closed by a peer"))
        on_close, pair.on_close = pair.on_close, None
        if on_close is not None:
            on_close(pair)
        pair.end()

    def lift(self, pair: Pair, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Detached]:
        """Take both sockets out when both directions stand between two messages.

        They are out of the epoll set then, and `on_close` is not called. ConnectionError when the pair ends first.
        Cancelling the future lets the relay go on.
        """
        future: asyncio.Future[Detached] = loop.create_future()
        if pair.over:
            future.set_exception(ConnectionResetError("closed by a peer"))
            return future
        future.add_done_callback(lambda _: self._go_on(pair) if future.cancelled() else None)
        pair.lifting = future
        for side in (pair.client, pair.gateway):
            side.held = side.boundary
        self.settle(pair)
        return future

    def sweep(self) -> None:
        """Drop pairs whose time is over. To be called once a second."""
        self.second += 1
        if self._ending:
            now = time.monotonic()
            for pair in [pair for pair in self._ending if pair.deadline <= now]:
                self.drop(pair)

    def event(self, side: Side, events: int) -> None:
        """Handle what epoll says of a side, all but plain input of a flowing one."""
        if events & OUT and side.pending:
            self._flush(side)
        if events & ~OUT:
            # An end may stand behind more than one read, and no edge will tell of it again.
            while side.readable and self._read(side) and events & RDHUP:
                pass
        self.settle(side.pair)

    def _read(self, side: Side) -> bool:
        """Read once and pass it on; whether there may be more."""
        try:
            data = os.read(side.fd, READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            self.broken(side)
            return False
        if not data:
            self._ended(side)
            return False
        if len(data) == READ_SIZE:
            side.armed = UNKNOWN
        self._take(side, memoryview(data))
        return True

    def look(self, side: Side, data: Buffer) -> None:
        """Follow input of a client that has not been seen to ask for anything in this second, and look for requests in it."""
        on_request = side.pair.on_request
        assert on_request is not None  # else it is never looked for
        if side.left == 0 and (beginning := beginning_of_whole(data, len(data))) is not None:
            if on_request(beginning):
                side.looked = self.second
            return
        for beginning in side.advance_and_look(data, len(data)):
            if side.looked < self.second and on_request(beginning):
                side.looked = self.second

    def input_ended(self, side: Side) -> None:
        """Pass the end of a flowing side's input on."""
        self._ended(side)
        self.settle(side.pair)

    def again(self, side: Side) -> None:
        """Have a flowing side reported again if it has more input than one read took."""
        self._epoll.modify(side.fd, EDGE)

    def stalled(self, side: Side, rest: memoryview) -> None:
        """Keep what a side had no room for, and stop reading its peer until it has."""
        side.pending = rest
        self._arm(side.peer)
        self._arm(side)

    def broken(self, side: Side) -> None:
        """Close a side whose socket is in error; its peer still gets what is pending, then FIN."""
        if not side.dead:
            self._ended(side)
            self._bury(side)

    def settle(self, pair: Pair) -> None:
        """Do what has become possible: lift, pass an end on, close; then watch both sockets for what comes next."""
        client, gateway = pair.client, pair.gateway
        if pair.heir is not None:
            self._bequeath(pair, pair.heir)
            return
        if pair.lifting is not None:
            self._try_lifting(pair, pair.lifting)
        for side in (client, gateway):
            # When both have ended, closing does it: all input is read, so that sends FIN and no reset.
            if client.eof and gateway.eof:
                break
            if not side.shut and not side.pending and (side.peer.eof or side.peer.muted):
                side.shut = True
                try:
                    side.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    self.broken(side)
        if client.eof or gateway.eof:
            if client.eof and gateway.eof and not client.pending and not gateway.pending:
                self.drop(pair)
                return
            self._end_within(pair, LINGER)
        self._arm(client)
        self._arm(gateway)

    def _arm(self, side: Side) -> None:
        """Put a side into the right table and tell epoll what to watch for."""
        if side.dead:
            return
        if side.flows and not side.pending:
            self.flowing[side.fd] = side
            self.careful.pop(side.fd, None)
            events = EDGE
        else:
            self.careful[side.fd] = side
            self.flowing.pop(side.fd, None)
            # Hang-ups are reported for an empty mask too, again and again: one-shot disarms them after the first (trap 8).
            events = (IN if side.readable else 0) | (OUT if side.pending else 0) or ONESHOT
        # After an end an edge comes once at most: no need to disarm what is armed so.
        if events != side.armed and not (side.eof and side.armed == EDGE and events == ONESHOT):
            side.armed = events
            self._epoll.modify(side.fd, events)

    def _take(self, side: Side, data: memoryview) -> None:
        """Pass on what was read from a side, putting in at a boundary what waits for one."""
        if side.muted:
            return
        if side.held:
            side.rest += data
        elif side.insertion or side.last or side.pair.lifting is not None:
            cut = side.advance_to_boundary(data, len(data))
            if cut < 0:
                self._put(side.peer, data)
                return
            self._put(side.peer, data[:cut])
            self._at_boundary(side)
            if cut < len(data):
                self._take(side, data[cut:])
        else:
            self._follow(side, data)
            self._put(side.peer, data)

    def _follow(self, side: Side, data: memoryview) -> None:
        if side.looked < self.second:
            self.look(side, data)
        else:
            side.advance(data, len(data))

    def _at_boundary(self, side: Side) -> None:
        """Put in what waits: the side's input stands between two messages."""
        if side.insertion:
            insertion, side.insertion = side.insertion, b""
            if not side.closed:
                self._put(side.peer, memoryview(insertion))
        if side.last:
            side.last, side.muted = False, True
        elif side.pair.lifting is not None:
            side.held = True

    def _insert(self, side: Side, data: bytes, last: bool) -> None:
        source = side.peer
        if side.shut or source.muted or source.eof:
            return
        source.insertion += data
        source.last = source.last or last
        if source.boundary:
            self._at_boundary(source)

    def _put(self, side: Side, data: memoryview) -> None:
        """Send, or keep what finds no room."""
        if side.shut:
            return
        if side.pending:
            side.pending = bytes(side.pending) + data
            return
        try:
            sent = os.write(side.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.broken(side)
            return
        if sent < len(data):
            side.pending = data[sent:]

    def _flush(self, side: Side) -> None:
        try:
            sent = os.write(side.fd, side.pending)
        except BlockingIOError:
            return
        except OSError:
            self.broken(side)
            return
        side.pending = memoryview(side.pending)[sent:] if sent < len(side.pending) else b""

    def _ended(self, side: Side) -> None:
        """Note the end of a side's input; a client hears why when its gateway went without a word."""
        if side.eof:
            return
        side.eof = True
        pair = side.pair
        if side is pair.gateway and self.lost and side.boundary and not side.closed and not side.muted:
            client = pair.client
            stands = client.boundary and not client.pending and not side.pending and not client.eof
            if self.keep is not None and stands and pair.lifting is None:
                pair.heir = self.keep(pair)
            if pair.heir is None:
                self._put(client, memoryview(self.lost))

    def _bury(self, side: Side) -> None:
        """Close a side's socket, which also takes it out of the epoll set."""
        self._leave(side)
        side.sock.close()

    def _leave(self, side: Side) -> None:
        side.dead = side.eof = side.shut = True
        side.pending = b""
        self.flowing.pop(side.fd, None)
        self.careful.pop(side.fd, None)
        # At once, not when it is settled: what flows is written to its peer's descriptor, which is somebody else's soon.
        peer = side.peer
        peer.muted = True
        if self.flowing.pop(peer.fd, None) is not None:
            self.careful[peer.fd] = peer

    def _end_within(self, pair: Pair, seconds: float) -> None:
        end = time.monotonic() + seconds
        pair.deadline = min(pair.deadline, end) if pair.deadline else end
        self._ending.add(pair)

    def _try_lifting(self, pair: Pair, future: asyncio.Future[Detached]) -> None:
        client, gateway = pair.client, pair.gateway
        if client.eof or gateway.eof:
            if not future.done():
                future.set_exception(ConnectionResetError("a peer closed"))
            self._go_on(pair)
        elif client.held and gateway.held and not client.pending and not gateway.pending and not future.done():
            pair.lifting = pair.on_close = None
            self._ending.discard(pair)
            for side in (client, gateway):
                self._leave(side)
                self._epoll.unregister(side.fd)
            for side in (client, gateway):
                self.careful.pop(side.fd, None)
            future.set_result(Detached(client.sock, client.rest, gateway.sock, gateway.rest))
            pair.end()

    def _bequeath(self, pair: Pair, heir: Callable[[Detached], None]) -> None:
        pair.heir = pair.on_close = None
        self._ending.discard(pair)
        client = pair.client
        self._leave(client)
        self._epoll.unregister(client.fd)
        if not pair.gateway.dead:
            self._bury(pair.gateway)
        heir(Detached(client.sock, client.rest))
        pair.end()

    def _go_on(self, pair: Pair) -> None:
        """Relay again after lifting came to nothing."""
        if pair.over:
            return
        pair.lifting = None
        for side in (pair.client, pair.gateway):
            rest, side.rest, side.held = side.rest, b"", False
            if rest:
                self._take(side, memoryview(rest))
        self.settle(pair)
