"""Requests to the API server, each with a deadline, and the lines of a watch."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from tenant_api.apiserver_errors import ApiRefused, ApiUnavailable, retry_after

from .access import ApiAccess
from .errors import Expired
from .objects import Status

CONNECT = 3.0
"""Seconds for TCP and TLS; an API server that is there takes milliseconds."""
REQUEST = 10.0
"""Seconds for a write or a small read: ten times what a busy API server takes (its own SLO is 1 s)."""
LIST = 30.0
"""Seconds for one page of a list."""
SILENCE = 130.0
"""Seconds without a line on a watch. With bookmarks one comes every minute, later on a busy server: so this one hangs."""
KEEPALIVE = (10, 5, 3)
"""Seconds of silence, seconds between probes, probes: a path that drops everything is noticed after 25 s."""
MAX_LINE = 8 * 1024 * 1024
"""Bytes of one watch event: etcd takes objects of 1.5 MiB, and JSON escapes may multiply that."""

_decode_status = msgspec.json.Decoder(Status).decode


class ApiServer:
    """One API server. Owns its connections; `close` ends them."""

    def __init__(self, access: ApiAccess) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0, socket_factory=_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=REQUEST, sock_connect=CONNECT),
                headers={"Accept": "application/json", "User-Agent": "openclaw-tenancy-router"},
                trust_env=True,
            )
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = REQUEST,
    ) -> bytes:
        """Return the body of a 2xx answer.

        Raises
        ------
        ApiUnavailable, ApiRefused, Expired
            See there.
        """
        data = msgspec.json.encode(body) if body is not None else None
        headers = {"Content-Type": content_type} if data is not None else {}
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT)
        async with self._answer(method, path, params, headers, data, limit) as answer:
            return await answer.read()

    async def lines(self, path: str, params: Mapping[str, str]) -> AsyncGenerator[bytes]:
        """Yield an empty line once the server has begun to answer, then the lines of the watch until it ends it.

        Raises
        ------
        ApiUnavailable, ApiRefused, Expired
            See there. Also when a watch falls silent or breaks off.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
        async with self._answer("GET", path, params, {}, None, limit) as answer:
            yield b""
            rest = b""
            async for part in answer.content.iter_any():
                *complete, rest = (rest + part if rest else part).split(b"\n")
                for line in complete:
                    if line:
                        yield line
                if len(rest) > MAX_LINE:
                    raise ApiUnavailable(f"a watch event of {path} is longer than {MAX_LINE} bytes")

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: dict[str, str],
        data: bytes | None,
        limit: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            answer = await self._send(method, path, params, headers, data, limit)
            if answer.status == 401 and await self._access.reload():
                answer.release()
                answer = await self._send(method, path, params, headers, data, limit)
            async with answer:
                if answer.status >= 300:
                    raise _error(answer, await answer.read())
                yield answer
        except aiohttp.ClientConnectorError as error:
            raise ApiUnavailable(f"no connection to {error.host}:{error.port}: {error.strerror}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} {path} broke off: {type(error).__name__}") from error

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: dict[str, str],
        data: bytes | None,
        limit: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        return await self._open().request(
            method,
            self._access.server + path,
            params=params,
            headers={**headers, **await self._access.headers()},
            data=data,
            timeout=limit,
            ssl=self._access.ssl,
            allow_redirects=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    idle, interval, count = KEEPALIVE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)
    return sock


def _error(answer: aiohttp.ClientResponse, body: bytes) -> ApiUnavailable | ApiRefused | Expired:
    try:
        status = _decode_status(body)
    except msgspec.MsgspecError:
        status = Status(message=body[:200].decode("utf-8", "replace").strip())
    if answer.status == 410:
        return Expired(status.message)
    if answer.status == 429 or answer.status >= 500:
        return ApiUnavailable(
            f"{status.message or answer.reason} ({answer.status})", retry_after(answer.headers.get("Retry-After"))
        )
    reason = status.reason or str(answer.reason)
    return ApiRefused(answer.status, reason, status.message or reason)
