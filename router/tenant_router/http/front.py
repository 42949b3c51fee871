"""Hands sockets whose first head is no WebSocket upgrade to uvicorn, which speaks HTTP/1.1 for the ASGI app."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..settings import MAX_HEAD
from .app import build_app
from .edge import ABORT, Edge
from .proxy import HttpProxy

if TYPE_CHECKING:
    from ..server import Router

KEEP_ALIVE = 15
"""Seconds that an idle keep-alive connection may stay: long enough for a page's assets, short for a slowloris."""
MAX_HTTP_CONNECTIONS = 2000
"""HTTP connections at once; each costs some 20 KiB, so this bounds their memory to about 40 MiB."""


class _Adopted(HttpToolsProtocol):
    """uvicorn's protocol on a socket of which some bytes were read already, with a bound on later request heads."""

    def __init__(self, received: bytes, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._received = received
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state[ABORT] = transport.abort
        # Before the transport reads on its own, so that the bytes stay in order.
        received, self._received = self._received, b""
        self.data_received(received)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
        if self._in_head and self._head_bytes > MAX_HEAD and self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.transport.close()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()


class HttpFront:
    """Owns the HTTP connections of a router."""

    def __init__(self, router: Router) -> None:
        self.proxy = HttpProxy(router)
        self._edge = Edge(build_app(router, self.proxy))
        self._config = Config(
            self._edge,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        self._config.load()
        self._state = ServerState()

    async def adopt(self, sock: socket.socket, received: bytes) -> None:
        """Serve HTTP on this socket from now on; `received` is what was read from it so far."""
        if len(self._state.connections) >= MAX_HTTP_CONNECTIONS:
            sock.close()
            return
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(
            lambda: _Adopted(received, config=self._config, server_state=self._state, app_state={}, _loop=loop), sock
        )

    def revoke(self, key: str, tokens: Container[str] | None = None) -> None:
        """Cut a tenant's requests, or those of some of its tokens."""
        self.proxy.requests.revoke(key, tokens)

    async def drain(self, deadline: float) -> None:
        """Let requests end until `deadline` (time.monotonic); connections close after their current one."""
        for connection in list(self._state.connections):
            connection.shutdown()
        while self._state.tasks and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Drop what is left."""
        self._edge.closing = True
        for connection in list(self._state.connections):
            if (transport := connection.transport) is not None:
                transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.proxy.close()
