"""The smallest gateway that upstream's clients log in to: our server code behind a WebSocket, and one method."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from openclaw_protocol import frames
from openclaw_protocol.connect import ConnectRequest
from openclaw_protocol.errors import INVALID_REQUEST, ErrorShape
from openclaw_protocol.hello import hello_ok
from openclaw_protocol.rejections import GatewayStarting, Rejection, TokenMismatch, TokenMissing
from openclaw_protocol.server import HANDSHAKE_TIMEOUT, ServerHandshake


@dataclass
class MinimalGateway:
    """Knows one token, and remembers who logged in and what they called."""

    token: str
    port: int = 0
    starting: int = 0
    """How many clients are still to be told that it starts."""
    connects: list[ConnectRequest] = field(default_factory=list)
    nonces: list[str] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def handle(self, socket: ServerConnection) -> None:
        handshake = ServerHandshake()
        self.nonces.append(handshake.challenge.nonce)
        with contextlib.suppress(ConnectionClosed):
            await socket.send(handshake.start(), text=True)
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                message = await socket.recv()
            try:
                request = handshake.receive(message, time.time_ns() // 1_000_000)
                assert request is not None
                self._authenticate(request)
            except Rejection as rejection:
                self.rejections.append(rejection)
                if answer := handshake.refuse(rejection):
                    await socket.send(answer, text=True)
                await socket.close(rejection.close_code, rejection.close_reason)
                return
            self.connects.append(request)
            await socket.send(handshake.accept(self._hello(request)), text=True)
            async for message in socket:
                await socket.send(self._answer(message), text=True)

    def _authenticate(self, request: ConnectRequest) -> None:
        if self.starting:
            self.starting -= 1
            raise GatewayStarting
        token = request.params.token
        if token is None:
            raise TokenMissing(request.params.client)
        if token != self.token:
            raise TokenMismatch(request.params.client)

    def _answer(self, message: bytes | str) -> bytes:
        try:
            request = frames.parse_frame(message)
        except frames.InvalidFrame as error:
            return error.answer()
        assert isinstance(request, frames.Request)
        self.methods.append(request.method)
        if request.method == "health":
            return frames.response(request.id, {"ok": True, "ts": 1, "from": "the smallest gateway"})
        return frames.error_response(request.id, ErrorShape(INVALID_REQUEST, f"unknown method: {request.method}"))

    def _hello(self, request: ConnectRequest) -> dict[str, object]:
        return hello_ok(
            server={"version": "2026.9.6", "connId": "conn-1"},
            methods=["health"],
            events=["connect.challenge", "tick"],
            snapshot={"presence": [], "health": {}, "stateVersion": {"presence": 0, "health": 0}, "uptimeMs": 1},
            auth={"method": "token", "role": request.params.role, "scopes": list(request.params.scopes)},
        )


@contextlib.asynccontextmanager
async def minimal_gateway(token: str) -> AsyncIterator[MinimalGateway]:
    gateway = MinimalGateway(token)
    async with serve(gateway.handle, "127.0.0.1", 0, compression=None) as server:
        gateway.port = next(iter(server.sockets)).getsockname()[1]
        yield gateway
