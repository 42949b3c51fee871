"""HTTP heads: read one with httptools, and check that it asks for a WebSocket (RFC 6455 section 4.2.1)."""

from __future__ import annotations

import base64
import binascii
import re

import httptools

from .settings import MAX_HEAD
from .wire import Wire

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2


class BadHead(Exception):
    """A head we answer with an HTTP status: args are (status, reason phrase)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def response(self) -> bytes:
        """Return the whole HTTP response."""
        return f"HTTP/1.1 {self.status} {self.reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()


class Head:
    """One HTTP request or response head, filled in by httptools. Header names are lower case; repeated ones are joined."""

    __slots__ = ("complete", "headers", "method", "status", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.complete = False
        self.method = b""
        self.status = 0

    def on_url(self, part: bytes) -> None:
        """Collect the request target."""
        self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header field."""
        name = name.lower()
        known = self.headers.get(name)
        self.headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        """Note the end of the head."""
        self.complete = True


async def read_request(wire: Wire) -> tuple[Head, bytes, bytes | None]:
    """Read a request head.

    Returns
    -------
    tuple
        The head, every byte read so far, and the bytes behind the head when it asks for an upgrade, else None.

    Raises
    ------
    BadHead
        Not HTTP/1.1, or larger than `MAX_HEAD`.
    """
    head = Head()
    parser = httptools.HttpRequestParser(head)
    raw = b""
    while True:
        data = await wire.recv()
        raw = raw + data if raw else data
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            head.method = parser.get_method()
            return head, raw, data[upgrade.args[0] :]
        except httptools.HttpParserError:
            raise BadHead(400, "Bad Request") from None
        if head.complete:
            head.method = parser.get_method()
            return head, raw, None
        if len(raw) > MAX_HEAD:
            raise BadHead(431, "Request Header Fields Too Large")


async def read_response(wire: Wire) -> tuple[Head, bytes | None]:
    """Read a response head, and return it with the bytes behind it when it is an upgrade (status 101), else None.

    Raises
    ------
    BadHead
        Not HTTP, or larger than `MAX_HEAD`.
    """
    head, seen = Head(), 0
    parser = httptools.HttpResponseParser(head)
    while True:
        data = await wire.recv()
        seen += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            head.status = parser.get_status_code()
            return head, data[upgrade.args[0] :]
        except httptools.HttpParserError:
            raise BadHead(502, "Bad Gateway") from None
        if head.complete:
            head.status = parser.get_status_code()
            return head, None
        if seen > MAX_HEAD:
            raise BadHead(502, "Bad Gateway")


def asks_for_websocket(head: Head) -> bool:
    """Tell whether the head has `Upgrade: websocket`; anything else is plain HTTP."""
    return head.headers.get(b"upgrade", b"").lower() == b"websocket"


def websocket_key(head: Head) -> str:
    """Return `Sec-WebSocket-Key` of a valid opening handshake.

    Raises
    ------
    BadHead
        400 or 426, as RFC 6455 section 4.2.2 asks.
    """
    headers = head.headers
    if headers.get(b"sec-websocket-version") != b"13":
        raise BadHead(426, "Upgrade Required")
    key = headers.get(b"sec-websocket-key", b"")
    try:
        good = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        good = False
    # A body on the upgrade would be read as frames by one side and as a body by the other.
    if (
        head.method != b"GET"
        or not good
        or b"transfer-encoding" in headers
        or headers.get(b"content-length", b"0") != b"0"
    ):
        raise BadHead(400, "Bad Request")
    return key.decode("ascii")


def subprotocol(head: Head) -> str | None:
    """Return the first subprotocol that the client offers; browsers fail unless one of theirs is echoed."""
    offered = head.headers.get(b"sec-websocket-protocol", b"").split(b",")[0].strip()
    return offered.decode("ascii") if _TOKEN.fullmatch(offered) else None


def switching_protocols(accept: str, protocol: str | None) -> bytes:
    """Return the 101 response; no extensions, so that frames are valid on either leg as they are (trap 1)."""
    chosen = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n"
    ).encode("ascii")
