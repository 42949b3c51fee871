"""One HTTP request of a tenant at a time, forwarded to its gateway, which is woken if need be.

Never a spliced connection: a second request on it could forge the identity headers that the first one was given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from yarl import URL

from tenant_api.config.gateway_settings import ROUTER_HEADER, USER_HEADER

from .. import entry
from ..fleet import GatewayAddress, TenantRecord, TokenMatch, WakeFailed
from ..origin import SCOPES_HEADER, ClientOrigin, gateway_headers
from .running import Requests

if TYPE_CHECKING:
    from ..server import Router

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)  # RFC 9110 section 7.6.1
NEVER_FORWARDED = HOP_BY_HOP | {
    "host",
    "cookie",  # nobody enters by one, and all tenants share this host name: a plugin's cookie of one is not another's
    "authorization",  # the tenant's token is the router's business; the gateway gets an identity
    "forwarded",
    "x-real-ip",
    USER_HEADER,
    ROUTER_HEADER,
    SCOPES_HEADER,
}
NEVER_RETURNED = HOP_BY_HOP | {"set-cookie"}
SILENCE = 1800.0
"""Seconds without a byte of the answer: an agent's turn without streaming can take many minutes."""
CONNECT = 5.0
"""Seconds to connect to a gateway that is awake."""
RETRY_AFTER = 2
"""Seconds a client should wait after 503: about one wake of a native gateway with a busy machine's margin."""


class HttpProxy:
    """Forwards requests; owns the client session to all gateways."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._session: aiohttp.ClientSession | None = None
        self.requests = Requests()

    async def forward(self, request: Request) -> Response:
        """Answer one request with its tenant's gateway's answer, or with an error in upstream's shape."""
        router = self._router
        assert request.client is not None  # every connection of ours is TCP
        origin = router.origins.of(request.client.host, dict(request.headers.raw))
        match = self._enter(request, origin)
        if isinstance(match, Response):
            router.metrics.http.labels(str(match.status_code)).inc()
            return match
        found = match.tenant
        self.requests.enter(request.scope, match, partial(self._refuse, request))
        await router.suspends.opened(found.key)
        with router.live.opening(found.key):
            response = await self._exchange(request, found, origin)
        router.metrics.http.labels(str(response.status_code)).inc()
        return response

    async def _refuse(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose token stopped working while it waited."""
        match = entry.holder(self._router, _digest(request))
        response = _suspended() if match is not None and match.tenant.suspended else _unauthorized()
        self._router.metrics.http.labels(str(response.status_code)).inc()
        await response(scope, receive, send)

    def _enter(self, request: Request, origin: ClientOrigin) -> TokenMatch | Response:
        router = self._router
        try:
            # What is no Bearer token is a wrong one, not none: it counts for the address.
            match = entry.find(router, _digest(request), origin)
            entry.check(router, match.tenant)
            return match
        except entry.LockedOut as denied:
            return error(429, "Too many failed attempts", "rate_limited", {"Retry-After": str(int(denied.seconds) + 1)})
        except (entry.NoToken, entry.Stranger):
            return _unauthorized()
        except entry.Draining:
            return error(503, "The router is restarting; retry shortly", "unavailable", {"Retry-After": "1"})
        except entry.Suspended:
            return _suspended()
        except entry.TooMany as denied:
            return error(429, f"This tenant may have {denied.limit} connections at once", "too_many_connections")
        except entry.TooOften as denied:
            after = {"Retry-After": str(int(denied.seconds) + 1)}
            return error(429, "Too many requests for this tenant", "rate_limited", after)

    async def _exchange(self, request: Request, tenant: TenantRecord, origin: ClientOrigin) -> Response:
        router = self._router
        activity = router.activity.of(tenant.key)
        if request.method not in ("GET", "HEAD"):  # a page's own loading is nobody asking for something
            activity.last_request = time.time()
        reason = f"{request.method} {request.url.path}"
        stale: GatewayAddress | None = None
        deadline = time.monotonic() + tenant.wake_timeout
        body = _Body(request)
        while True:
            try:
                address = await router.waker.address(tenant, "http", reason, stale)
                return await self._ask(request, body, address, origin, tenant)
            except WakeFailed as failed:
                return error(
                    503,
                    f"The gateway can't be started: {failed.for_clients}",
                    "unavailable",
                    {"Retry-After": str(RETRY_AFTER)},
                )
            except aiohttp.ClientConnectorError:
                stale = address
            except (aiohttp.ClientError, TimeoutError) as broken:
                return error(502, f"The gateway gave no valid answer ({type(broken).__name__})", "bad_gateway")
            if body.begun or time.monotonic() > deadline:
                return error(
                    503, "The gateway is starting; retry shortly", "unavailable", {"Retry-After": str(RETRY_AFTER)}
                )
            await asyncio.sleep(0.1)

    async def _ask(
        self, request: Request, body: _Body, address: GatewayAddress, origin: ClientOrigin, tenant: TenantRecord
    ) -> Response:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE),
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        named = {name.strip().lower() for name in request.headers.get("connection", "").split(",")}
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in NEVER_FORWARDED and name not in named and not name.startswith("x-forwarded-")
        ]
        headers += gateway_headers(origin, address.user, None).items()
        host = f"[{address.host}]" if ":" in address.host else address.host
        answer = await self._session.request(
            request.method,
            # The raw target, so that an encoded path means the same to the gateway as it did to the client.
            _target(f"http://{host}:{address.port}", request),
            headers=headers,
            data=body if body.expected else None,
            allow_redirects=False,
        )
        given = [(n.lower(), v) for n, v in answer.raw_headers if n.decode("latin-1").lower() not in NEVER_RETURNED]
        response = StreamingResponse(_stream(answer, self._router.live.opening(tenant.key)), answer.status)
        response.raw_headers = given
        return response

    async def close(self) -> None:
        """Close the session to the gateways."""
        if self._session is not None:
            await self._session.close()


def _target(base: str, request: Request) -> URL:
    query = request.scope["query_string"]
    return URL(
        base + request.scope["raw_path"].decode("latin-1") + (f"?{query.decode('latin-1')}" if query else ""),
        encoded=True,
    )


async def _stream(answer: aiohttp.ClientResponse, counted: AbstractContextManager[None]) -> AsyncIterator[bytes]:
    """Pass the body on as it comes; aiohttp stops reading from the gateway while the client does not take it."""
    with counted:
        async with answer:
            async for part in answer.content.iter_any():
                yield part


class _Body:
    """A request's body on its way; knows whether any of it was taken, after which the request can't be sent again."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.begun = False
        self.expected = "content-length" in request.headers or "transfer-encoding" in request.headers

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        async for part in self._request.stream():
            if part:
                yield part


def _digest(request: Request) -> bytes | None:
    return entry.bearer_digest(request.headers.get("authorization", ""))


def _unauthorized() -> Response:
    return error(401, "Unauthorized", "unauthorized")


def _suspended() -> Response:
    return error(503, "This tenant is suspended by its operator", "tenant_suspended")


def error(status: int, message: str, kind: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error in the shape of upstream's HTTP errors."""
    return JSONResponse({"error": {"message": message, "type": kind}}, status, headers)
