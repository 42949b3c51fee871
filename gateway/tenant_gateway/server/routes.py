"""HTTP requests that need more than a health answer: authentication, then the handler of the path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from openclaw_protocol.rejections import Rejection
from openclaw_protocol.scopes import OPERATOR_SCOPES
from tenant_gateway.server.auth import (
    AttributionRequired,
    Identity,
    Peer,
    check_attribution,
    is_shared_secret,
    proxy_scopes,
    proxy_user,
)
from tenant_gateway.server.http import HttpRequest, head, json_response

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


class Writer(Protocol):
    """Where a response goes."""

    async def write(self, data: bytes) -> None:
        """Write a part, waiting for room."""
        ...


class HttpError(Exception):
    """A request that is refused, in the form of OpenAI's errors."""

    def __init__(self, status: int, message: str, kind: str = "invalid_request_error", **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, **more}}


class Exchange:
    """One request and its response."""

    def __init__(self, gateway: Gateway, request: HttpRequest, identity: Identity, writer: Writer) -> None:
        self.gateway = gateway
        self.request = request
        self.identity = identity
        self._writer = writer
        self.streaming = False

    def json(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        try:
            body = msgspec.json.decode(self.request.body)
        except (msgspec.DecodeError, RecursionError):
            raise HttpError(400, "the body is no JSON") from None
        if not isinstance(body, dict):
            raise HttpError(400, "the body must be an object")
        return body

    def require(self, scope: str) -> None:
        """Check that the caller has a scope."""
        if scope not in self.identity.scopes and "operator.admin" not in self.identity.scopes:
            raise HttpError(403, f"missing scope: {scope}", "forbidden")

    async def respond(self, status: int, body: Any) -> None:
        """Send a whole response."""
        await self._writer.write(json_response(status, body, self.request))

    async def begin_events(self) -> None:
        """Begin a stream of server-sent events."""
        self.streaming = True
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "Transfer-Encoding": "chunked",
        }
        if not self.request.keep_alive:
            headers["Connection"] = "close"
        await self._writer.write(head(200, headers))

    async def event(self, data: Any, name: str = "") -> None:
        """Send an event; a text as it is, anything else as JSON."""
        content = data.encode() if isinstance(data, str) else msgspec.json.encode(data)
        line = (f"event: {name}\n".encode() if name else b"") + b"data: " + content + b"\n\n"
        await self._writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    async def end_events(self) -> None:
        """End the stream."""
        await self._writer.write(b"0\r\n\r\n")


Handler = Callable[[Exchange], Awaitable[None]]

_CHAT: Final = "gateway.http.endpoints.chatCompletions.enabled"
_RESPONSES: Final = "gateway.http.endpoints.responses.enabled"

_ROUTES: Final = {
    "/v1/chat/completions": ("POST", _CHAT, "chat_completions:complete"),
    "/v1/models": ("GET", _CHAT, "chat_completions:models"),
    "/v1/responses": ("POST", _RESPONSES, "responses:respond"),
    "/tools/invoke": ("POST", "", "tools_invoke:invoke"),
}
"""Path → method, the flag that turns it on, `module:function` in `tenant_gateway.api`."""


async def handle(gateway: Gateway, request: HttpRequest, peer: Peer, writer: Writer) -> bool:
    """Answer a request; return whether the connection stays."""
    exchange: Exchange | None = None
    try:
        method, flag, target = _route(request.path)
        if flag and not gateway.config.flag(flag, False):
            raise HttpError(404, "Not Found", "not_found")
        if request.method != method:
            raise HttpError(405, "Method Not Allowed", "method_not_allowed")
        exchange = Exchange(gateway, request, authenticate_http(gateway, request, peer), writer)
        if (reason := gateway.not_ready_reason()) is not None:
            raise HttpError(503, f"gateway unavailable: {reason}", "unavailable")
        module, _, function = target.partition(":")
        handler: Handler = getattr(import_module(f"tenant_gateway.api.{module}"), function)
        await handler(exchange)
    except HttpError as error:
        if exchange is not None and exchange.streaming:
            await exchange.event(error.body)
            await exchange.end_events()
        else:
            await writer.write(json_response(error.status, error.body, request))
    return request.keep_alive


def _route(path: str) -> tuple[str, str, str]:
    if path.startswith("/v1/models/"):
        return "GET", _CHAT, "chat_completions:model"
    route = _ROUTES.get(path)
    if route is None:
        raise HttpError(404, "Not Found", "not_found")
    return route


def authenticate_http(gateway: Gateway, request: HttpRequest, peer: Peer) -> Identity:
    """Authenticate a request: by Bearer token, or as the user that a trusted proxy vouches for.

    Raises:
        HttpError: 401, or 403 for forwarding headers that cannot be believed.
    """
    config, environ = gateway.config, gateway.settings.environ
    try:
        check_attribution(config, peer)
    except AttributionRequired:
        raise HttpError(403, "Forwarded headers must name the client", "proxy_attribution_required") from None
    mode = config.get("gateway.auth.mode", "token")
    if mode == "trusted-proxy":
        try:
            user = proxy_user(config, peer)
        except Rejection:
            raise HttpError(401, "Unauthorized", "unauthorized") from None
        return Identity("trusted-proxy", user, proxy_scopes(config, peer, user))
    if mode == "none" and peer.is_loopback:
        return Identity("none", None, frozenset(OPERATOR_SCOPES))
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not is_shared_secret(config, environ, token.strip()):
        raise HttpError(401, "Unauthorized", "unauthorized")
    return Identity(str(mode), None, frozenset(OPERATOR_SCOPES))
