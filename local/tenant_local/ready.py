"""Asking a gateway whether it has started, where no router does.

The router asks the same by `tenant_router.wake.probe`, with a client waiting: every 20 ms, a lost connect begun anew after
150 ms, on the relay's own selector. This one runs on any event loop, is in no hurry, and costs a starting gateway little.
"""

from __future__ import annotations

import asyncio
import json

_PAUSES = (0.25, 0.5, 1.0)
"""Seconds between questions, the last one repeated; few, because each costs a starting gateway CPU (openclaw-protocol 2.1)."""
_ASK_TIMEOUT = 5.0
_MAX_ANSWER = 16 * 1024


async def started(host: str, port: int, answered: asyncio.Event) -> None:
    """Return when the gateway says that it has started, or `answered` is set. Goes on for ever: give it a timeout."""
    pauses = iter(_PAUSES)
    pause = 0.0
    while True:
        pause = next(pauses, _PAUSES[-1])
        try:
            async with asyncio.timeout(pause):
                await answered.wait()
            return
        except TimeoutError:
            pass
        try:
            async with asyncio.timeout(_ASK_TIMEOUT):
                if await _ask(host, port):
                    return
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            continue


async def _ask(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        # Not only the status: paths that upstream does not know answer 200 with the Control UI (openclaw-protocol 2.4).
        writer.write(f"GET /startupz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read(_MAX_ANSWER)
        while not reader.at_eof() and len(answer) < _MAX_ANSWER:
            answer += await reader.read(_MAX_ANSWER)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        return False
    start, end = body.find(b"{"), body.rfind(b"}")
    said = json.loads(body[start : end + 1]) if 0 <= start < end else None
    return isinstance(said, dict) and said.get("ok") is True and said.get("status") == "started"
