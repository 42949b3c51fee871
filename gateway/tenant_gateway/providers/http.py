"""HTTP/1.1 client for model endpoints: httptools, which is loaded anyway, over asyncio; `ssl` only for https.

One request a connection, as a turn waits seconds for its model; the handshake is small beside that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httptools

CONNECT_TIMEOUT: Final = 15.0
_MAX_ERROR_BODY: Final = 65_536
_MAX_HEADERS: Final = 200


class HttpError(Exception):
    """The exchange failed: no connection, no HTTP, cut short, too slow. `reason` is one of upstream's failover reasons."""

    def __init__(self, message: str, reason: str = "timeout") -> None:
        super().__init__(message)
        self.reason = reason


class Connection:
    """A byte stream to a server, plain or TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return what has come; empty at the end."""
        return await self._reader.read(65_536)

    def close(self) -> None:
        """Close at once."""
        self._writer.transport.abort()


class HttpResponse:
    """A response whose head has come; its body is read with `chunks`."""

    def __init__(self, connection: Connection, idle_timeout: float) -> None:
        self._connection = connection
        self._idle_timeout = idle_timeout
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._head_done = False
        self._complete = False
        self.headers: dict[str, str] = {}

    @property
    def status(self) -> int:
        """The status code."""
        return int(self._parser.get_status_code())

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        if len(self.headers) < _MAX_HEADERS:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """The head is complete; an interim one (1xx) does not count."""
        if self.status >= 200:
            self._head_done = True
        else:
            self.headers.clear()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        """The response is complete."""
        self._complete = self._head_done

    async def _more(self) -> bool:
        try:
            async with asyncio.timeout(self._idle_timeout):
                data = await self._connection.receive()
        except TimeoutError:
            raise HttpError("no data in time") from None
        except OSError as error:
            raise HttpError(f"connection lost: {error}") from None
        if data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as error:
                raise HttpError(f"not HTTP: {error}", "format") from None
        return bool(data)

    async def read_head(self) -> None:
        """Wait for the head."""
        while not self._head_done:
            if not await self._more():
                raise HttpError("connection closed before a response")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            HttpError: cut off before its end, or too slow.
        """
        closes = "content-length" not in self.headers and "chunked" not in self.headers.get("transfer-encoding", "")
        while True:
            chunks, self._chunks = self._chunks, []
            for chunk in chunks:
                yield chunk
            if self._complete:
                return
            if not await self._more():
                if closes:
                    return
                raise HttpError("connection closed in the middle of a response")

    async def error_text(self) -> str:
        """Return the beginning of the body of a failed response, whatever can be had of it."""
        body = b""
        try:
            async for chunk in self.chunks():
                body += chunk
                if len(body) > _MAX_ERROR_BODY:
                    break
        except HttpError:
            pass
        return body[:_MAX_ERROR_BODY].decode(errors="replace")


@asynccontextmanager
async def post(url: str, headers: Mapping[str, str], body: bytes, idle_timeout: float) -> AsyncIterator[HttpResponse]:
    """Send a POST and give its response; the connection is closed when the block ends.

    Raises:
        HttpError: see the class.
    """
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            connection = await _connect(parts)
    except TimeoutError:
        raise HttpError("connection timed out") from None
    except ConnectionRefusedError:
        raise HttpError("connection refused by the provider endpoint") from None
    except OSError as error:
        raise HttpError(f"cannot connect: {error.strerror or error}") from None
    try:
        try:
            await connection.send(_head(parts, headers, len(body)) + body)
        except OSError as error:
            raise HttpError(f"connection lost: {error}") from None
        response = HttpResponse(connection, idle_timeout)
        await response.read_head()
        yield response
    finally:
        connection.close()


async def _connect(parts: SplitResult) -> Connection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        from tenant_gateway.providers.tls import TlsConnection

        return await TlsConnection.open(host, parts.port or 443)
    return Connection(*await asyncio.open_connection(host, parts.port or 80))


def _head(parts: SplitResult, headers: Mapping[str, str], size: int) -> bytes:
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc.rpartition('@')[2]}", f"Content-Length: {size}"]
    lines += (f"{name}: {value}" for name, value in headers.items())
    if any("\r" in line or "\n" in line for line in lines):
        raise HttpError("a header of the request has a line break", "format")
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode("latin-1", "replace")
