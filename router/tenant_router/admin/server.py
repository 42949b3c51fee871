"""Runs an ASGI app on a port of its own beside the router, on the same loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from fastapi import FastAPI
from uvicorn import Config, Server

STOP = 5.0
"""Seconds for requests in flight at stop; admin requests are quick."""


class _QuietServer(Server):
    """uvicorn without its signal handlers: signals are the command's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AdminServer:
    """One HTTP server for the admin port."""

    def __init__(self, app: FastAPI, sock: socket.socket) -> None:
        self._app = app
        self._sock = sock
        self._server: _QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    @staticmethod
    def bind(address: tuple[str, int]) -> socket.socket:
        """Return a socket that listens on an address.

        Raises
        ------
        OSError
            The address can't be had.
        """
        host, port = address
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._sock.getsockname()[:2]
        return host, port

    def start(self) -> None:
        """Serve from now on."""
        config = Config(
            self._app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        self._server = _QuietServer(config)
        self._task = asyncio.get_running_loop().create_task(
            self._server.serve(sockets=[self._sock]), name="admin server"
        )

    async def stop(self) -> None:
        """Stop serving and wait for the end."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP):
                await self._task
        self._sock.close()
