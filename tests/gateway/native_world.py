"""A native gateway as a real process, and an operator that speaks the protocol over a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from openclaw_protocol import frames

TOKEN = "token-of-this-test"
USER = "tenant-a-0123456789abcdef"
DEADLINE = 20.0
ALL_SCOPES = ("operator.admin", "operator.read", "operator.write", "operator.approvals")
CLI = {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "cli"}

PROXY_AUTH = {
    "mode": "trusted-proxy",
    "identityScopes": {USER: list(ALL_SCOPES)},
    "trustedProxy": {
        "userHeader": "x-openclaw-tenant",
        "requiredHeaders": ["x-openclaw-router"],
        "allowUsers": [USER],
        "allowLoopback": True,
    },
}
PROXY_HEADERS = {"X-Forwarded-For": "192.0.2.1", "x-openclaw-tenant": USER, "x-openclaw-router": "1"}


def provider(base_url: str, api: str = "openai-completions", model: str = "fake-model", **more: Any) -> dict[str, Any]:
    return {
        "baseUrl": base_url,
        "apiKey": "sk-fake",
        "api": api,
        "models": [
            {
                "id": model,
                "name": "Fake",
                "reasoning": False,
                "input": ["text"],
                "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0},
                "contextWindow": 128000,
                "maxTokens": 4096,
                **more,
            }
        ],
    }


def base_config(llm_url: str = "http://127.0.0.1:9/v1") -> dict[str, Any]:
    return {
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
        },
        "models": {"mode": "replace", "providers": {"fake": provider(llm_url)}},
        "agents": {"defaults": {"model": {"primary": "fake/fake-model"}}},
    }


class NativeGateway:
    """`python -m tenant_gateway` with a socket of ours on descriptor 3, as the local fleet starts it."""

    def __init__(self, home: Path, config: dict[str, Any]) -> None:
        self.state = home / "state"
        self.config_path = home / "openclaw.json"
        self.state.mkdir(parents=True, exist_ok=True)
        self.config = config
        self.environ: dict[str, str] = {}
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0
        self.log = home / "gateway.log"

    def write_config(self, change: Callable[[dict[str, Any]], None] | None = None) -> None:
        if change is not None:
            change(self.config)
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(json.dumps(self.config))
        fresh.replace(self.config_path)

    async def start(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> NativeGateway:
        self.write_config()
        listener = socket.create_server(address)
        self.port = listener.getsockname()[1]

        def adopt() -> None:
            os.dup2(listener.fileno(), 3)

        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tenant_gateway",
                cwd=self.state,
                env={
                    "PATH": os.environ["PATH"],
                    "OPENCLAW_STATE_DIR": str(self.state),
                    "OPENCLAW_CONFIG_PATH": str(self.config_path),
                    "LISTEN_FDS": "1",
                    **self.environ,
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(3,),
                preexec_fn=adopt,
            )
        listener.close()
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def ended(self) -> int:
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), DEADLINE)

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.terminate()
        try:
            return await self.ended()
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def operator(self, **options: Any) -> Operator:
        return await Operator(self).open(**options)

    async def http(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own; the body is what came until the end, chunks joined."""
        import h11

        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        http = h11.Connection(h11.CLIENT)
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Host": "x", "Connection": "close", "Content-Length": str(len(content)), **(headers or {})}
        writer.write(http.send(h11.Request(method=method, target=path, headers=list(sent.items()))) or b"")
        writer.write(http.send(h11.Data(data=content)) or b"")
        writer.write(http.send(h11.EndOfMessage()) or b"")
        status, answer_headers, answer = 0, {}, b""
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    event = http.next_event()
                    if event is h11.NEED_DATA:
                        http.receive_data(await reader.read(65536))
                    elif isinstance(event, h11.Response):
                        status = event.status_code
                        answer_headers = {name.decode(): value.decode() for name, value in event.headers}
                    elif isinstance(event, h11.Data):
                        answer += event.data
                    else:
                        return status, answer_headers, answer
        finally:
            writer.close()


class Refused(Exception):
    """A request or connect that was answered with `ok: false`."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]
        self.error = error


class Reachable(Protocol):
    """What an operator connects to."""

    @property
    def url(self) -> str: ...


class Operator:
    """An operator client. Events are kept in order of arrival."""

    def __init__(self, gateway: Reachable, deadline: float = DEADLINE) -> None:
        self.gateway = gateway
        self.deadline = deadline
        self.events: list[dict[str, Any]] = []
        self.hello: dict[str, Any] = {}
        self._socket: ClientConnection | None = None
        self._answers: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def open(
        self,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
        scopes: tuple[str, ...] = ALL_SCOPES,
        caps: tuple[str, ...] = ("tool-events",),
        client: Mapping[str, str] = CLI,
        **params: Any,
    ) -> Operator:
        self._socket = await connect(
            self.gateway.url, additional_headers=headers, max_size=None, ping_interval=None, compression=None
        )
        challenge = json.loads(await asyncio.wait_for(self._socket.recv(), self.deadline))
        assert challenge["event"] == "connect.challenge"
        self._reader = asyncio.create_task(self._read())
        connect_params: dict[str, Any] = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": dict(client),
            "role": "operator",
            "scopes": list(scopes),
            "caps": list(caps),
            **params,
        }
        if token is not None:
            connect_params["auth"] = {"token": token}
        try:
            self.hello = await self.call("connect", connect_params)
        except BaseException:
            await self.close()
            raise
        return self

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                frame = json.loads(message)
                if frame["type"] == "res":
                    self._answers.setdefault(frame["id"], asyncio.Queue()).put_nowait(frame)
                else:
                    self.events.append(frame)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            for queue in self._answers.values():
                queue.put_nowait({"ok": False, "error": {"code": "CLOSED", "message": "connection closed"}})
            self._news.set()

    async def send(self, method: str, params: Any = None) -> str:
        """Send a request without waiting for its answer."""
        request_id = str(uuid.uuid4())
        self._answers[request_id] = asyncio.Queue()
        await self.send_raw(frames.request(request_id, method, params).decode())
        return request_id

    async def send_raw(self, message: str | bytes) -> None:
        assert self._socket is not None
        await self._socket.send(message)

    async def answer(self, request_id: str) -> Any:
        frame = await asyncio.wait_for(self._answers[request_id].get(), self.deadline)
        if not frame["ok"]:
            raise Refused(frame["error"])
        return frame["payload"]

    async def call(self, method: str, params: Any = None) -> Any:
        return await self.answer(await self.send(method, params))

    async def chat(self, message: str, session: str = "main", **params: Any) -> str:
        run_id = str(uuid.uuid4())
        params = {"sessionKey": session, "message": message, "idempotencyKey": run_id, **params}
        await self.call("chat.send", params)
        return run_id

    async def event(self, matches: Callable[[dict[str, Any]], bool], timeout: float | None = None) -> dict[str, Any]:
        """Return the first event that matches, past or future."""
        seen = 0
        async with asyncio.timeout(timeout or self.deadline):
            while True:
                while seen < len(self.events):
                    if matches(self.events[seen]):
                        return self.events[seen]
                    seen += 1
                assert self._reader is not None
                if self._reader.done():
                    raise ConnectionError(f"closed: {self.closed}")
                self._news.clear()
                await self._news.wait()

    async def ended(self, run_id: str) -> dict[str, Any]:
        """Return the last `chat` payload of a run."""
        frame = await self.event(
            lambda frame: (
                frame["event"] == "chat"
                and frame["payload"]["runId"] == run_id
                and frame["payload"]["state"] in ("final", "aborted", "error")
            )
        )
        payload: dict[str, Any] = frame["payload"]
        return payload

    async def turn(self, message: str, session: str = "main", **params: Any) -> dict[str, Any]:
        return await self.ended(await self.chat(message, session, **params))

    async def until_closed(self) -> tuple[int | None, str | None]:
        assert self._reader is not None
        await asyncio.wait_for(asyncio.shield(self._reader), self.deadline)
        return self.closed

    @property
    def closed(self) -> tuple[int | None, str | None]:
        assert self._socket is not None
        return self._socket.close_code, self._socket.close_reason

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader


def text_of(payload: dict[str, Any]) -> str:
    """The text of a `chat` payload's message."""
    return "".join(part["text"] for part in payload["message"]["content"] if part["type"] == "text")


async def call_tool(operator: Operator, tool: str, session: str = "main", **arguments: Any) -> str:
    """Let the model call a tool; what it was told comes back in its answer."""
    end = await operator.turn(f"TOOL:{tool} {json.dumps(arguments)}", session=session)
    text = text_of(end)
    assert text.startswith(f"{tool} said: "), end
    return text.removeprefix(f"{tool} said: ")
