"""HTTP requests that are no upgrades: the health endpoints at once, the rest by handlers imported when first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenant_gateway.settings import UPSTREAM_VERSION

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

REASONS: Final = {
    101: "Switching Protocols",
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Payload Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}

_LIVE: Final = ("/health", "/healthz")
_STARTUP: Final = ("/startup", "/startupz")
_READY: Final = ("/ready", "/readyz")


class HttpRequest(msgspec.Struct):
    """A request whose body is complete; header names in lower case, a repeated header joined by a comma."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


def head(status: int, headers: dict[str, str]) -> bytes:
    """Return a response head."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n{lines}\r\n".encode("latin-1")


def json_response(status: int, body: Any, request: HttpRequest | None = None, **extra: str) -> bytes:
    """Return a whole response; for HEAD without its body."""
    content = msgspec.json.encode(body)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Length": str(len(content)),
        **extra,
    }
    if request is None or not request.keep_alive:
        headers["Connection"] = "close"
    return head(status, headers) + (b"" if request is not None and request.method == "HEAD" else content)


def health_response(gateway: Gateway, request: HttpRequest) -> bytes | None:
    """Answer upstream's health endpoints with upstream's bodies; None for another path."""
    path = request.path
    if path not in _LIVE and path not in _STARTUP and path not in _READY:
        return None
    if request.method not in ("GET", "HEAD"):
        return json_response(405, {"ok": False, "error": "method not allowed"}, request, Allow="GET, HEAD")
    if path in _LIVE:
        return json_response(200, {"ok": True, "status": "live"}, request)
    draining = gateway.not_ready_reason()
    if path in _STARTUP:
        if draining is None:
            return json_response(200, {"ok": True, "status": "started"}, request)
        body = {"ok": False, "status": "draining", "version": UPSTREAM_VERSION, "pendingReason": draining}
        return json_response(503, body, request)
    if draining is None:
        return json_response(200, {"ready": True}, request)
    return json_response(503, {"ready": False, "failing": [draining]}, request)
