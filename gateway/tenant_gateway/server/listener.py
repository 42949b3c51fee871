"""What arrives at the socket: HTTP heads (httptools), then a WebSocket or one request after the other."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

import httptools

from tenant_gateway.server.auth import AttributionRequired, Peer, check_attribution
from tenant_gateway.server.client import Client
from tenant_gateway.server.http import HttpRequest, head, health_response, json_response

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HEAD: Final = 65_536
MAX_BODY: Final = 20 * 1024 * 1024
"""Upstream's limit for `/v1/chat/completions` (docs/gateway/openai-http-api.md)."""

_HEAD_TIMEOUT: Final = 15.0
"""Seconds in which a request must be complete; also how long an idle connection is kept."""

_MAX_QUEUED: Final = 16
"""Pipelined requests that wait on one connection."""

_ATTRIBUTION: Final = {
    "error": {
        "type": "proxy_attribution_required",
        "message": "Forwarded headers must come from a trusted proxy and name the client",
    }
}


class ServerProtocol(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._client: Client | None = None
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._requests: deque[HttpRequest] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._timer: asyncio.TimerHandle | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._gateway.connections.add(self)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._client is not None:
            self._client.data_received(data)
            return
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "bad request")

    def eof_received(self) -> bool:
        """The client has closed its side."""
        if self._client is not None:
            self._client.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; what was done for it ends."""
        self._gateway.connections.discard(self)
        self._disarm()
        if self._client is not None:
            self._gateway.clients.discard(self._client)
            self._client.lost()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Too much is unread: a streamed response waits."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """There is room again."""
        self._writable.set()

    # httptools callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""
        self._headers = {}
        self._body = []

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        if self._size > _MAX_HEAD + MAX_BODY:
            raise ValueError("head too large")
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip()
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body.append(body)
        if self._size > _MAX_HEAD + MAX_BODY:
            raise ValueError("body too large")

    def on_message_complete(self) -> None:
        """The request is complete; an upgrade is answered by `_upgrade`."""
        if self._parser.should_upgrade():
            return
        request = HttpRequest(
            self._parser.get_method().decode("latin-1"),
            self._target.decode("latin-1"),
            self._headers,
            b"".join(self._body),
            self._parser.should_keep_alive(),
        )
        self._size = 0
        self._body = []
        self._requests.append(request)
        if len(self._requests) > _MAX_QUEUED:
            raise ValueError("too many pipelined requests")
        if self._task is None:
            self._serve()

    # WebSocket

    def _upgrade(self, rest: bytes) -> None:
        transport = self._transport
        assert transport is not None
        key = self._headers.get("sec-websocket-key", "")
        if self._headers.get("upgrade", "").lower() != "websocket" or not key:
            self._refuse(400, "not a WebSocket upgrade")
            return
        if self._headers.get("sec-websocket-version") != "13":
            transport.write(head(400, {"Sec-WebSocket-Version": "13", "Connection": "close", "Content-Length": "0"}))
            transport.close()
            return
        peer = self._peer(self._headers)
        try:
            check_attribution(self._gateway.config, peer)
        except AttributionRequired:
            transport.write(json_response(403, _ATTRIBUTION))
            transport.close()
            return
        self._disarm()
        digest = hashlib.sha1(key.encode("latin-1") + _GUID, usedforsecurity=False).digest()
        answer = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
        }
        if offered := self._headers.get("sec-websocket-protocol"):
            answer["Sec-WebSocket-Protocol"] = offered.partition(",")[0].strip()
        transport.write(head(101, answer))
        self._client = Client(self._gateway, transport, peer)
        self._client.open()
        if rest:
            self._client.data_received(rest)

    def _peer(self, headers: dict[str, str]) -> Peer:
        assert self._transport is not None
        name = self._transport.get_extra_info("peername")
        return Peer(name[0] if isinstance(name, tuple) else "127.0.0.1", headers)

    # HTTP

    def _serve(self) -> None:
        assert self._transport is not None
        while self._requests:
            request = self._requests.popleft()
            answer = health_response(self._gateway, request)
            if answer is None:
                self._disarm()
                self._transport.pause_reading()
                self._task = asyncio.get_running_loop().create_task(self._handle(request))
                return
            self._transport.write(answer)
            if not request.keep_alive:
                self._transport.close()
                return
        self._arm()

    async def _handle(self, request: HttpRequest) -> None:
        from tenant_gateway.server.routes import handle

        transport = self._transport
        assert transport is not None
        try:
            keep_alive = await handle(self._gateway, request, self._peer(request.headers), self)
        except ConnectionError:
            return
        except Exception:
            self._gateway.log.exception("%s %s failed", request.method, request.path)
            transport.abort()
            return
        self._task = None
        if not keep_alive or transport.is_closing():
            transport.close()
            return
        transport.resume_reading()
        self._serve()

    async def write(self, data: bytes) -> None:
        """Write a part of a response, waiting for room.

        Raises:
            ConnectionError: the client has gone.
        """
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self._transport.write(data)
        await self._writable.wait()

    def _refuse(self, status: int, message: str) -> None:
        assert self._transport is not None
        self._disarm()
        self._transport.write(json_response(status, {"error": {"message": message, "type": "invalid_request_error"}}))
        self._transport.close()

    def close(self) -> None:
        """Close a connection that no request is served on."""
        if self._client is None and self._task is None and self._transport is not None:
            self._transport.close()

    def _arm(self) -> None:
        self._disarm()
        assert self._transport is not None
        self._timer = asyncio.get_running_loop().call_later(_HEAD_TIMEOUT, self._transport.close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
