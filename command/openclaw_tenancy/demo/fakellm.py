"""A local stand-in for a language model: OpenAI's chat completions and Anthropic's messages on one port.

`python -m openclaw_tenancy.demo.fakellm --port 0` prints the port it got and serves until it is ended. What it
answers is scripted by words in the user's text, see `fakellm_script`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import time
from typing import Any

import h11

from openclaw_tenancy.demo.fakellm_apis import Anthropic, OpenAI
from openclaw_tenancy.demo.fakellm_script import Reply, Turn, read_turn, reply_to

MAX_BODY = 32 * 2**20
"""Bytes of one request: upstream sends 63 KB, an image a few MB."""

KEPT_REQUESTS = 500
"""How many requests are remembered, oldest forgotten first."""

HOLD_SECONDS = 30.0
"""How long `HOLD` waits for `release` before it goes on by itself."""

IDLE_SECONDS = 120.0
"""How long a kept-alive connection may wait for its next request."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    turn: Turn
    received: float
    """Seconds since the epoch."""


@dataclass(slots=True)
class FakeLLM:
    """The server. `async with FakeLLM() as llm:` listens on a free loopback port until the block ends."""

    port: int = 0
    host: str = "127.0.0.1"
    """Address to listen on; another one only where the model runs in a pod of its own."""
    requests: deque[Recorded] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    finished: int = 0
    """Replies sent to their last byte."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _failed: Counter[str] = field(default_factory=Counter)
    _server: asyncio.Server | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        """Return what `baseUrl` of an `openai-completions` provider is set to; Anthropic's is this without `/v1`."""
        return f"http://{self.host}:{self.port}/v1"

    def release(self) -> None:
        """Let replies go on that wait because of `HOLD`, those of the future too. May be called from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.set)

    async def __aenter__(self) -> FakeLLM:
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, h11.RemoteProtocolError, TimeoutError):
                await self._requests(_Http(reader, writer))
        except asyncio.CancelledError:
            pass  # the server ends; nobody but `__aexit__` cancels this task
        finally:
            self._connections.discard(task)
            writer.close()

    async def _requests(self, http: _Http) -> None:
        while (request := await http.request()) is not None:
            head, body = request
            await self._answer(http, head, body)
            if not http.next():
                return

    async def _answer(self, http: _Http, head: h11.Request, raw: bytes) -> None:
        path = head.target.decode("ascii", "replace").partition("?")[0]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        if head.method == b"GET" and path == "/v1/models":
            await http.json(200, {"object": "list", "data": [{"id": "fake-model", "object": "model"}]})
            return
        if head.method != b"POST" or path not in ("/v1/chat/completions", "/v1/messages"):
            await http.json(404, {"error": {"message": f"no such endpoint: {path}", "type": "not_found"}})
            return
        try:
            body = json.loads(raw)
            turn = read_turn(body["messages"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            await http.json(400, {"error": {"message": f"not understood: {error!r}", "type": "invalid_request_error"}})
            return
        self.requests.append(Recorded(path, headers, body, turn, time()))
        reply = reply_to(turn)
        if reply.status != 200 and (reply.fail_times is None or self._failed[turn.text] < reply.fail_times):
            self._failed[turn.text] += 1
            error_body = {"error": {"message": f"asked to fail with {reply.status}", "type": "fake_error"}}
            await http.json(reply.status, error_body, {"retry-after": "1"} if reply.status == 429 else {})
            return
        api = OpenAI(body) if path == "/v1/chat/completions" else Anthropic(body)
        if body.get("stream"):
            await self._stream(http, api, reply)
        else:
            await http.json(200, api.whole(reply))
        self.finished += 1

    async def _stream(self, http: _Http, api: OpenAI | Anthropic, reply: Reply) -> None:
        await http.start(200, {"content-type": "text/event-stream", "cache-control": "no-cache"})
        await http.send(api.opening(reply))
        if reply.tool is not None:
            for event in api.call(reply):
                await asyncio.sleep(reply.pace)
                await http.send(event)
        half = max(1, len(reply.tokens) // 2)
        for number, token in enumerate(reply.tokens):
            if number == half and reply.hold:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._released.wait(), HOLD_SECONDS)
            if number == half and reply.garble:
                await http.send(b'data: {"id": "cc-1", "choi\n\n')
            if number == half and reply.cut:
                raise ConnectionAbortedError
            await asyncio.sleep(reply.pace)
            await http.send(api.token(token))
        await http.send(api.closing(reply))
        await http.end()


class _Http:
    """One HTTP/1.1 connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.SERVER)

    async def request(self) -> tuple[h11.Request, bytes] | None:
        """Return the next request with its body, None at the end of the connection."""
        head: h11.Request | None = None
        body = bytearray()
        async for event in self._events():
            if isinstance(event, h11.Request):
                head = event
                if self._state.they_are_waiting_for_100_continue:
                    self._writer.write(self._state.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("request too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return head, bytes(body)
        return None

    async def _events(self) -> AsyncIterator[h11.Request | h11.Data | h11.EndOfMessage]:
        while True:
            event = self._state.next_event()
            if event is h11.NEED_DATA:
                data = await asyncio.wait_for(self._reader.read(65536), IDLE_SECONDS)
                self._state.receive_data(data)
            elif isinstance(event, h11.Request | h11.Data | h11.EndOfMessage):
                yield event
            else:  # paused, or the client has gone
                return

    def next(self) -> bool:
        """Make ready for another request on this connection; False when it is to be closed."""
        if self._state.our_state is h11.DONE and self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
            return True
        return False

    async def json(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        await self.start(
            status, {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
        )
        await self.send(raw)
        await self.end()

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        await self._write(h11.Response(status_code=status, headers=list(headers.items())))

    async def send(self, data: bytes) -> None:
        await self._write(h11.Data(data=data))

    async def end(self) -> None:
        await self._write(h11.EndOfMessage())

    async def _write(self, event: h11.Event) -> None:
        self._writer.write(self._state.send(event) or b"")
        await self._writer.drain()


async def _main(host: str, port: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with FakeLLM(port, host) as llm:
        sys.stdout.write(f"{llm.port}\n")
        sys.stdout.flush()
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local stand-in for a language model.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one, printed on the first line")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: %(default)s")
    options = parser.parse_args()
    asyncio.run(_main(options.host, options.port))
