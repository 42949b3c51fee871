"""A small client of the gateway protocol, as any app would write one: it knows a URL and a token, nothing of tenancy."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from openclaw_protocol.errors import ErrorShape
from openclaw_protocol.frames import Event, Response, parse_frame, request

HELLO_TIMEOUT = 15.0
"""Seconds for hello-ok after `connect`, as official clients wait (openclaw-protocol 3.4)."""

MAX_MESSAGE = 26_214_400
"""Bytes of one message after hello, upstream's `policy.maxPayload`."""


class Refused(Exception):
    """The gateway answered a request with an error."""

    def __init__(self, error: ErrorShape) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


class GatewayClient:
    """One connection. `async with GatewayClient(url, token, deadline=30) as client:`; a gateway that still starts is retried."""

    def __init__(
        self, url: str, token: str, deadline: float = 60.0, scopes: tuple[str, ...] = ("operator.admin",)
    ) -> None:
        self.url = url
        self.deadline = deadline
        """Seconds until `connect` is given up, however often it is retried."""
        self.hello: dict[str, Any] = {}
        self.attempts = 0
        self._token = token
        self._scopes = scopes
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> GatewayClient:
        async with asyncio.timeout(self.deadline):
            while True:
                self.attempts += 1
                try:
                    self.hello = await self._connect()
                    return self
                except Refused as refused:
                    await self.close()
                    if not refused.error.retryable:
                        raise
                    await asyncio.sleep((refused.error.retry_after_ms or 500) / 1000)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the socket if it is open."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def call(self, method: str, **params: Any) -> Any:
        """Return the payload that a method is answered with; events that come before are dropped.

        Raises
        ------
        Refused
            It was answered with an error.
        """
        wanted = await self._send(method, params)
        while True:
            frame = await self._receive()
            if isinstance(frame, Response) and frame.id == wanted:
                return _payload(frame)

    async def chat(self, message: str, session: str = "agent:main:main") -> AsyncIterator[str]:
        """Send a message and yield the reply's pieces as they come.

        Raises
        ------
        Refused
            The gateway did not take the message, or the turn failed.
        """
        run = str(uuid.uuid4())
        wanted = await self._send("chat.send", {"sessionKey": session, "message": message, "idempotencyKey": run})
        told = ""
        while True:
            frame = await self._receive()
            if isinstance(frame, Response) and frame.id == wanted:
                _payload(frame)
            if not isinstance(frame, Event) or frame.event != "chat" or frame.payload.get("runId") != run:
                continue
            state = frame.payload["state"]
            if state in ("delta", "final"):
                text = _text(frame.payload.get("message"))
                # `message` is cumulative in both; what was told already is its beginning.
                if text.startswith(told) and text != told:
                    yield text[len(told) :]
                    told = text
            if state == "final":
                return
            if state in ("error", "aborted"):
                raise Refused(ErrorShape(code="UNAVAILABLE", message=frame.payload.get("errorMessage") or state))

    async def _connect(self) -> dict[str, Any]:
        self._socket = await connect(
            self.url, max_size=MAX_MESSAGE, compression=None, proxy=None, user_agent_header="openclaw-tenancy-demo"
        )
        async with asyncio.timeout(HELLO_TIMEOUT):
            while not (isinstance(frame := await self._receive(), Event) and frame.event == "connect.challenge"):
                pass
            params = {
                "minProtocol": 4,
                "maxProtocol": 4,
                "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux", "mode": "backend"},
                "role": "operator",
                "scopes": list(self._scopes),
                "auth": {"token": self._token},
            }
            payload = await self.call("connect", **params)
            assert isinstance(payload, dict)
            return payload

    async def _send(self, method: str, params: dict[str, Any]) -> str:
        assert self._socket is not None
        name = str(uuid.uuid4())
        await self._socket.send(request(name, method, params).decode())
        return name

    async def _receive(self) -> Any:
        assert self._socket is not None
        return parse_frame(await self._socket.recv())


def _payload(frame: Response) -> Any:
    if not frame.ok:
        raise Refused(frame.error or ErrorShape(code="UNAVAILABLE", message="refused without a reason"))
    return frame.payload


def _text(message: Any) -> str:
    if not isinstance(message, dict):
        return ""
    blocks = message.get("content")
    if isinstance(blocks, str):
        return blocks
    return "".join(block.get("text", "") for block in blocks or () if block.get("type") == "text")
