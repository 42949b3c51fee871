"""One WebSocket client: handshake, requests in, responses and events out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import msgspec

from openclaw_protocol.challenge import Challenge
from openclaw_protocol.connect import ConnectParams, parse_connect
from openclaw_protocol.errors import UNAVAILABLE, ErrorShape
from openclaw_protocol.frames import Request, error_response, parse_frame
from openclaw_protocol.rejections import (
    FrameTooLarge,
    HandshakeTimeout,
    InvalidFrame,
    NotJson,
    Rejection,
)
from tenant_gateway.methods.dispatch import serve
from tenant_gateway.methods.registry import RequestError
from tenant_gateway.server import websocket
from tenant_gateway.server.auth import Identity, Peer, authenticate
from tenant_gateway.server.barriers import Barriers
from tenant_gateway.server.origin import check_origin

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_PREAUTH_LIMIT: Final = 65_536
"""Upstream's `MAX_PREAUTH_PAYLOAD_BYTES`."""

MAX_PAYLOAD: Final = 25 * 1024 * 1024
"""Upstream's `MAX_PAYLOAD_BYTES`, told to clients in `policy.maxPayload`."""

MAX_BUFFERED: Final = 50 * 1024 * 1024
"""Upstream's `MAX_BUFFERED_BYTES`: a client that lets so much pile up is closed."""

_HANDSHAKE_TIMEOUT: Final = 15.0
_PING_INTERVAL: Final = 25.0
"""Seconds between pings; a client without a pong by the next one is gone (upstream)."""

_LINGER: Final = 1.0
"""Seconds in which a closed client may read our last words before its unread input would reset the connection."""

_MAX_PENDING: Final = 64
"""Requests of one client that may wait at the same time (`agent.wait`, `agent`, …)."""

_MAX_WATCHED: Final = 1000
"""Sessions that one client may watch."""


class Client:
    """A connected client. Lives from the upgrade until the connection is lost."""

    def __init__(self, gateway: Gateway, transport: asyncio.Transport, peer: Peer) -> None:
        self.gateway = gateway
        self.peer = peer
        self.conn_id = str(uuid.uuid4())
        self.params: ConnectParams | None = None
        self.identity = Identity("none", None, frozenset())
        self.connected_at_ms = 0
        self.watches_sessions = False
        """Whether it asked for `sessions.changed` (`sessions.subscribe`)."""
        self.watched_keys: set[str] = set()
        """Sessions whose messages it asked for (`sessions.messages.subscribe`)."""
        self._transport = transport
        self._reader = websocket.FrameReader(_PREAUTH_LIMIT)
        self._challenge = Challenge.new()
        self._seq = 0
        self._closing = False
        self._answered_ping = True
        self._barriers = Barriers()
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_HANDSHAKE_TIMEOUT, self._reject, HandshakeTimeout())

    def open(self) -> None:
        """Greet: the challenge is the first frame of every connection."""
        self.send(self._challenge.event())

    # Input

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket and serve what is complete, in order."""
        if self._closing:
            return
        self._reader.feed(data)
        try:
            while not self._closing and (message := self._reader.next()) is not None:
                self._message(*message)
        except websocket.ProtocolError as error:
            if self.params is None and error.code == 1009:
                self._reject(FrameTooLarge())
            else:
                self.close(error.code, error.reason)

    def _message(self, opcode: int, payload: bytes) -> None:
        if opcode == websocket.PING:
            self._transport.write(websocket.frame(websocket.PONG, payload))
        elif opcode == websocket.PONG:
            self._answered_ping = True
            self._barriers.ponged(payload)
        elif opcode == websocket.CLOSE:
            code, reason = websocket.parse_close(payload)
            self.close(1000 if code == websocket.NO_STATUS else code, reason)
        elif self.params is None:
            self._connect(payload)
        else:
            self._request(payload)

    def _connect(self, payload: bytes) -> None:
        try:
            request = parse_connect(payload)
        except Rejection as rejection:
            self._reject(rejection)
            return
        try:
            self._admit(request.params)
        except Rejection as rejection:
            rejection.request_id = request.id
            self._reject(rejection)
            return
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_PING_INTERVAL, self._ping)
        self._reader.limit = MAX_PAYLOAD
        self.params = request.params
        self.connected_at_ms = time.time_ns() // 1_000_000
        self.send(self.gateway.welcome(self, request.id))

    def _admit(self, params: ConnectParams) -> None:
        gateway = self.gateway
        gateway.check_admission()
        check_origin(gateway.config, self.peer, params)
        if params.device is not None:
            from openclaw_protocol.device import verify_device

            verify_device(params, self._challenge, time.time_ns() // 1_000_000)
        if params.role != "operator":
            from tenant_gateway.server.origin import NodeRefused

            raise NodeRefused
        self.identity = authenticate(gateway.config, gateway.settings.environ, self.peer, params)

    def _request(self, payload: bytes) -> None:
        try:
            request = parse_frame(payload)
        except InvalidFrame as error:
            self.send(error.answer())
            return
        if not isinstance(request, Request):
            self.send(InvalidFrame("expected a request").answer())
            return
        pending = serve(self.gateway, self, request)
        if pending is not None:
            self._start(request, pending)

    def _start(self, request: Request, pending: Coroutine[Any, Any, None]) -> None:
        if len(self._tasks) >= _MAX_PENDING:
            pending.close()
            error = ErrorShape(UNAVAILABLE, "too many requests in flight", retryable=True, retry_after_ms=1000)
            self.send(error_response(request.id, error))
            return
        task = asyncio.get_running_loop().create_task(pending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Output

    def send(self, message: bytes) -> None:
        """Send one text message; a client that does not read is closed (1008) instead of filling the memory."""
        if self._closing:
            return
        if self._transport.get_write_buffer_size() + len(message) > MAX_BUFFERED:
            self.close(1008, "slow consumer")
            return
        self._transport.write(websocket.frame_head(websocket.TEXT, len(message)) + message)

    def send_event(self, head: bytes) -> None:
        """Send an event whose bytes lack only `seq` and the closing brace, so that many clients share one encoding."""
        if self.params is None or self._closing:
            return
        self._seq += 1
        self.send(b'%b,"seq":%d}' % (head, self._seq))

    def has_cap(self, cap: str) -> bool:
        """Whether the client named this capability in its `connect`."""
        return self.params is not None and cap in self.params.caps

    def watch(self, key: str) -> None:
        """Send this client the messages of a session from now on.

        Raises:
            RequestError: it watches very many already.
        """
        if len(self.watched_keys) >= _MAX_WATCHED:
            raise RequestError("too many session subscriptions")
        self.watched_keys.add(key)

    def describe(self) -> dict[str, Any]:
        """The client as a transcript records it."""
        if self.params is None:
            return {}
        info = self.params.client
        shown: dict[str, Any] = {"id": info.id, "mode": info.mode}
        if info.display_name:
            shown["displayName"] = info.display_name
        return shown

    def barrier(self) -> asyncio.Future[None]:
        """Return what is done once the client has read all that it was sent until now, or is gone: a ping is answered."""
        payload, read = self._barriers.ping()
        if self._closing:
            self._barriers.give_up()
        else:
            self._transport.write(websocket.frame(websocket.PING, payload))
        return read

    # End

    def _ping(self) -> None:
        if not self._answered_ping:
            self._transport.abort()
            return
        self._answered_ping = False
        self._transport.write(websocket.frame(websocket.PING, self._barriers.ping()[0]))
        self._timer = asyncio.get_running_loop().call_later(_PING_INTERVAL, self._ping)

    def _reject(self, rejection: Rejection) -> None:
        if (response := rejection.response()) is not None:
            self.send(response)
        if not isinstance(rejection, NotJson | HandshakeTimeout):
            self.gateway.log.info("refused a connection: %s", rejection)
        self.close(rejection.close_code, rejection.close_reason)

    def close(self, code: int, reason: str) -> None:
        """Say good-bye, then close when the client has, or has had its time to."""
        if self._closing:
            return
        self._closing = True
        self._barriers.give_up()
        self._timer.cancel()
        self._transport.write(websocket.close_frame(code, reason))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    def eof_received(self) -> None:
        """The client has closed its side."""
        self._closing = True
        self._barriers.give_up()
        self._transport.close()

    def lost(self) -> None:
        """The connection is gone: nobody waits for answers any more."""
        self._closing = True
        self._barriers.give_up()
        self._timer.cancel()
        for task in self._tasks:
            task.cancel()


def event_head(name: str, payload: bytes, state_version: dict[str, int] | None = None) -> bytes:
    """Return the bytes of an event up to its `seq`, see `Client.send_event`."""
    version = b"" if state_version is None else b',"stateVersion":' + msgspec.json.encode(state_version)
    return b'{"type":"event","event":"' + name.encode() + b'","payload":' + payload + version
