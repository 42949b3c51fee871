"""Two relayed sockets and what is known of each."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from .follow import Follower

NEVER = 1 << 62
"""A second that never comes: for sides whose requests nobody asks about."""

UNKNOWN = -1
"""No epoll mask: the socket has to be armed again, which also reports what is ready."""


class Side(Follower):
    """One socket of a pair; the follower's state is of what this socket sends, and `pending` is what it has yet to take."""

    __slots__ = (
        "armed",
        "dead",
        "eof",
        "far",
        "fd",
        "held",
        "insertion",
        "last",
        "looked",
        "muted",
        "pair",
        "peer",
        "pending",
        "rest",
        "shut",
        "sock",
    )

    peer: Side
    pair: Pair
    far: int
    """The peer's descriptor."""

    def __init__(self, sock: socket.socket, looked: int) -> None:
        super().__init__()
        self.sock = sock
        self.fd = sock.fileno()
        self.pending: bytes | memoryview = b""
        """Bytes for this socket that found no room; while there are any, its peer is not read (backpressure)."""
        self.insertion = b""
        """Bytes for the peer that wait until what this socket sends has come to a boundary."""
        self.last = False
        """The insertion ends the stream to the peer."""
        self.looked = looked
        """Second (`RelaySelector.second`) in which a request was last looked for and found."""
        self.eof = False
        """The socket's input has ended."""
        self.shut = False
        """Its output has: no more can be sent to it."""
        self.muted = False
        """What it sends is read and dropped: the peer has been told goodbye, or is gone."""
        self.held = False
        """It is not read: it stands at the boundary at which it will be lifted out."""
        self.rest = b""
        """What had been read behind that boundary."""
        self.dead = False
        """It is closed, or its owner's again."""
        self.armed = UNKNOWN
        """The events that epoll watches for on it."""

    @property
    def flows(self) -> bool:
        """Nothing special: what it sends goes straight to its peer."""
        return not (
            self.eof or self.muted or self.held or self.insertion or self.last or self.peer.pending or self.pair.lifting
        )

    @property
    def readable(self) -> bool:
        """Whether to read from it now."""
        return not self.eof and not self.held and (self.muted or not self.peer.pending)


class Pair:
    """A client's connection joined to a gateway's."""

    __slots__ = ("client", "deadline", "gateway", "heir", "lifting", "on_close", "on_request", "over", "owner")

    @property
    def ending(self) -> bool:
        """A close frame, a FIN or a goodbye has passed, or is about to."""
        return any(side.closed or side.eof or side.muted or side.last for side in (self.client, self.gateway))

    def __init__(
        self,
        client: Side,
        gateway: Side,
        on_close: Callable[[Pair], None] | None,
        on_request: Callable[[bytes], bool] | None,
    ) -> None:
        self.client = client
        self.gateway = gateway
        self.on_close = on_close
        self.on_request = on_request
        self.heir: Callable[[Detached], None] | None = None
        """Who takes the client, whose gateway was lost."""
        self.owner: object = None
        """Whose it is, for `RelaySelector.keep_when_lost`."""
        self.deadline = 0.0
        """When it is dropped whatever happens (time.monotonic), 0: no deadline."""
        self.lifting: asyncio.Future[Detached] | None = None
        """Done when both sockets have been taken out."""
        self.over = False
        """Both sockets are closed, or their owner's again."""
        client.peer, gateway.peer = gateway, client
        client.pair = gateway.pair = self
        client.far, gateway.far = gateway.fd, client.fd

    def end(self) -> None:
        """Let all go of each other: a cycle, and all that hangs on it, would stay until the garbage collector comes."""
        self.over = True
        self.on_close = self.on_request = self.owner = None
        for side in (self.client, self.gateway):
            del side.peer, side.pair


class Detached:
    """A client taken from its gateway between two messages; its socket is its owner's again."""

    __slots__ = ("gateway", "gateway_received", "received", "sock")

    def __init__(
        self, sock: socket.socket, received: bytes, gateway: socket.socket | None = None, gateway_received: bytes = b""
    ) -> None:
        self.sock = sock
        self.received = received
        """Bytes of its next messages that had been read already; the next relay must get them as `to_gateway`."""
        self.gateway = gateway
        """The gateway's socket, when both were lifted out."""
        self.gateway_received = gateway_received
        """Bytes of the gateway's next messages that had been read already."""
