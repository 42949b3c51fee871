"""A local port that leads to a server and passes bytes on as they are: it knows how often a client came, and how it was told to go.

It also makes the Control UI's origin a loopback one, which browsers trust without TLS (`kubectl port-forward` does the same).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

READ = 64 * 1024
MOST = 1 << 20
"""Bytes passed on at once after having been held back: more than a turn has."""
CLOSE = 0x88
"""First byte of a WebSocket close frame (RFC 6455 section 5.5.1); a server's is not masked, and the last that it sends."""
LONGEST_CONTROL = 125


@dataclass
class Seen:
    """One connection of the client."""

    tail: bytes = b""
    """What the server said last."""
    ended: bool = False

    @property
    def close_code(self) -> int | None:
        """The code that the server closed the WebSocket with; None: it did not."""
        for size in range(2, LONGEST_CONTROL + 1):
            frame = self.tail[-2 - size :]
            if len(frame) == 2 + size and frame[0] == CLOSE and frame[1] == size:
                return int.from_bytes(frame[2:4], "big")
        return None


@dataclass
class Tap:
    """A running tap."""

    port: int
    seen: list[Seen] = field(default_factory=list)
    """Connections in the order in which they came."""
    heard: float = 0.0
    """When the server last said something (time.monotonic)."""
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: what the server says is held back, and comes in one piece once it is set again. Set at first."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def tap(url: str) -> AsyncIterator[Tap]:
    """Pass connections on to the server of this URL while the block runs."""
    server_of = urlsplit(url)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        seen = Seen()
        one.seen.append(seen)
        with contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection(server_of.hostname, server_of.port)
            with contextlib.closing(forth):
                await asyncio.gather(_pass(reader, forth), _pass(back, writer, seen, one))
        seen.ended = True
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one = Tap(server.sockets[0].getsockname()[1])
    one.flows.set()
    try:
        yield one
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen | None = None, one: Tap | None = None
) -> None:
    try:
        while data := await reader.read(READ):
            if seen and one:
                if not one.flows.is_set():
                    await one.flows.wait()
                    data += await reader.read(MOST)  # what came meanwhile
                one.heard = time.monotonic()
                seen.tail = (seen.tail + data)[-2 - LONGEST_CONTROL :]
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()  # the one side is gone: so the other hears of it
