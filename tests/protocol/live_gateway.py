"""The real gateway process, and connections to it that say exactly what a test wants said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connects import REQUEST_ID
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deadlines import eventually_sync
from openclaw_protocol import frames
from openclaw_protocol import rejections as r
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.client import ClientHandshake
from openclaw_protocol.clients import ClientInfo
from ports import free_port
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

START_TIMEOUT = 120.0
"""A start costs about 10 CPU-seconds; the machine may have other things to do."""

ANSWER_TIMEOUT = 30.0
SCOPES = ("operator.admin", "operator.read", "operator.write", "operator.approvals")


@dataclass(frozen=True)
class Outcome:
    """How a connection ended: what the gateway answered, and how it closed."""

    answers: list[dict[str, Any]]
    code: int
    reason: str

    @property
    def error(self) -> dict[str, Any] | None:
        """The error of the only response, or None when the gateway closed without a word."""
        errors = [answer["error"] for answer in self.answers if answer.get("type") == "res"]
        return errors[0] if errors else None


@dataclass
class LiveGateway:
    """A gateway on a loopback port; `write_config` edits the file it watches."""

    runtime: OpenClawRuntime
    root: Path
    config: dict[str, Any]
    token: str | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def write_config(self) -> None:
        path = self.root / "openclaw.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self.config))
        fresh.replace(path)

    def start(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.config["gateway"] |= {"mode": "local", "bind": "loopback", "port": self.port}
        self.write_config()
        argv, environment = self.runtime.cli(
            ["gateway", "run"],
            {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(self.root),
                "OPENCLAW_STATE_DIR": str(self.root / "state"),
                "OPENCLAW_CONFIG_PATH": str(self.root / "openclaw.json"),
                "OPENCLAW_NO_RESPAWN": "1",
                "OPENCLAW_SUPERVISOR_MODE": "external",
                "OPENCLAW_SKIP_CHANNELS": "1",
                "OPENCLAW_DISABLE_BONJOUR": "1",
                "NO_COLOR": "1",
            },
        )
        if self.token:
            environment["OPENCLAW_GATEWAY_TOKEN"] = self.token
        with (self.root / "gateway.log").open("wb") as log:
            self.process = subprocess.Popen(
                argv, env=environment, cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def probe(self, path: str) -> bool:
        """Whether a health endpoint says 200."""
        assert self.process is not None
        assert self.process.poll() is None, (self.root / "gateway.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def wait_until_open(self) -> None:
        """Wait for the port, seconds before the gateway takes clients."""
        eventually_sync(lambda: self.probe("/healthz"), START_TIMEOUT, "gateway open")

    def wait_until_ready(self) -> None:
        eventually_sync(lambda: self.probe("/startupz"), START_TIMEOUT, "gateway ready")

    def terminate(self) -> None:
        """Ask it to end; it finishes its work first."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is None:
            return
        self.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


@contextlib.asynccontextmanager
async def conversation(
    url: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[ClientConnection, Challenge]]:
    """A WebSocket past its challenge."""
    async with connect(
        url, additional_headers=headers, compression=None, max_size=2**25, open_timeout=30, user_agent_header=None
    ) as socket:
        challenge = Challenge.parse(await asyncio.wait_for(socket.recv(), ANSWER_TIMEOUT))
        yield socket, challenge


async def outcome_of(
    url: str, say: Callable[[Challenge], list[bytes | str]], headers: Mapping[str, str] | None = None
) -> Outcome:
    """Say something and listen until the gateway closes."""
    async with conversation(url, headers) as (socket, challenge):
        try:
            for message in say(challenge):
                await socket.send(message)
        except ConnectionClosed:
            pass
        return await listen(socket)


async def listen(socket: ClientConnection, timeout: float = ANSWER_TIMEOUT) -> Outcome:
    answers: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(timeout):
            async for message in socket:
                answers.append(json.loads(message))
    except ConnectionClosed:
        pass
    await socket.wait_closed()
    return Outcome(answers, socket.close_code or 1006, socket.close_reason or "")


def assert_same(outcome: Outcome, rejection: r.Rejection) -> None:
    """The gateway's words and ours are the same, to the last byte of the close reason."""
    answer = rejection.response(REQUEST_ID)
    assert outcome.error == (None if answer is None else json.loads(answer)["error"])
    assert (outcome.code, outcome.reason) == (rejection.close_code, rejection.close_reason)


async def log_in(url: str, handshake: ClientHandshake, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Log in with our client code and return the hello."""
    async with conversation(url, headers) as (socket, challenge):
        await shake_hands(socket, challenge, handshake)
    assert handshake.hello is not None
    return handshake.hello


async def shake_hands(socket: ClientConnection, challenge: Challenge, handshake: ClientHandshake) -> bytes:
    """Go through the handshake; return the hello as it came."""
    await socket.send(handshake.receive(challenge.event()) or b"", text=True)
    while True:
        frame = await asyncio.wait_for(socket.recv(decode=False), ANSWER_TIMEOUT)
        handshake.receive(frame)
        if handshake.hello is not None:
            return frame


async def call(socket: ClientConnection, method: str, params: dict[str, Any]) -> Any:
    """Call a method of a logged-in connection."""
    await socket.send(frames.request(method, method, params), text=True)
    async with asyncio.timeout(ANSWER_TIMEOUT):
        while True:
            frame = frames.parse_frame(await socket.recv())
            if isinstance(frame, frames.Response) and frame.id == method:
                assert frame.ok, frame.error
                return frame.payload


def client_info(client: dict[str, Any]) -> ClientInfo:
    return ClientInfo(**client)
