"""TLS over a plain asyncio stream, by memory buffers.

asyncio's own TLS would need `ssl` at start, 12 ms and 4 MiB that a gateway without an https provider, or one that
only sleeps and wakes, never needs (see `tenant_gateway.lean`).
"""

from __future__ import annotations

import asyncio
import ssl
from functools import cache

from tenant_gateway.providers.http import Connection


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


class TlsConnection(Connection):
    """A verified TLS stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        super().__init__(reader, writer)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = _context().wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    @classmethod
    async def open(cls, host: str, port: int) -> TlsConnection:
        """Connect and shake hands.

        Raises:
            OSError: no connection, or no trusted certificate for this host (`ssl.SSLError` is one).
        """
        connection = cls(*await asyncio.open_connection(host, port), host)
        try:
            while True:
                try:
                    connection._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await connection._flush()
                    if not await connection._fill():
                        raise ConnectionResetError("closed during the TLS handshake") from None
            await connection._flush()
        except BaseException:
            connection.close()
            raise
        return connection

    async def send(self, data: bytes) -> None:
        """Encrypt and send all of it."""
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """Return what has come, decrypted; empty at the end."""
        while True:
            try:
                return self._tls.read(65_536)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    # Without a close_notify the end may be an attacker's; the HTTP framing tells whether all was there.
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            await super().send(data)

    async def _fill(self) -> bool:
        data = await super().receive()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)
