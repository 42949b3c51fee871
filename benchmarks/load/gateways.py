"""Gateways of both runtimes as bare processes: started, said hello to, weighed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from load.login import LOGIN
from load.processes import free_port, rss
from tenant_local.process import Plan, start
from tenant_local.runtimes import native, openclaw

TOKEN = "benchmark-token"
GIVE_UP = 150.0
"""Seconds until a hello that did not come is an error; a cold start of upstream's takes 20 on a busy machine."""
END = 30.0
ANSWER = 60.0
SCOPES = ["operator.admin", "operator.read", "operator.write"]
MODEL = {
    "id": "fake-model",
    "name": "Fake",
    "reasoning": False,
    "input": ["text"],
    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    "contextWindow": 128000,
    "maxTokens": 4096,
}


class Gateway:
    """A running gateway, its first hello already said."""

    def __init__(self, port: int, pid: int, end: Callable[[], None], ended: Callable[[], Any]) -> None:
        self.port = port
        self.pid = pid
        self._end = end
        self._ended = ended
        self.listening = 0.0
        """Seconds from exec until something accepts connections."""
        self.hello = 0.0
        """Seconds from exec until the first client has its hello."""
        self.hello_cpu = 0.0
        """Processor seconds of all its processes by then."""

    async def stop(self) -> None:
        """End it."""
        self._end()
        await asyncio.wait_for(self._ended(), END)

    def pids(self) -> list[int]:
        """Return its processes."""
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    queue += map(int, task.read_text().split())
                except OSError:
                    continue  # that thread has ended
        return found

    def cpu(self) -> float:
        """Return the processor seconds that all its processes have used."""
        return sum(_cpu(pid) for pid in self.pids())

    def rss(self) -> float:
        """Return resident MiB of all its processes."""
        return sum(rss(pid) for pid in self.pids()) / 2**20

    def private(self) -> float:
        """Return MiB of all its processes that nobody else has mapped: what one more of them costs."""
        return sum(_private(pid) for pid in self.pids()) / 2**20

    async def client(self) -> Client:
        """Connect and say hello."""
        return await Client(self.port).open()


def _cpu(pid: int) -> float:
    """Read the scheduler's clock of another process, threads that have ended included (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _private(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private_"))


class Client:
    """An operator. Answers and events are counted as they come."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self.events = 0
        self.ended: dict[str, asyncio.Event] = {}
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self) -> Client:
        """Connect; again while the gateway is not there or says "not yet"."""
        async with asyncio.timeout(GIVE_UP):
            while True:
                try:
                    socket_ = await connect(
                        f"ws://127.0.0.1:{self._port}", compression=None, max_size=None, ping_interval=None
                    )
                except (OSError, WebSocketException):
                    await asyncio.sleep(0.002)
                    continue
                await socket_.recv()
                params = {**LOGIN, "scopes": SCOPES, "auth": {"token": TOKEN}}
                await socket_.send(json.dumps({"type": "req", "id": "0", "method": "connect", "params": params}))
                answer = json.loads(await socket_.recv())
                if answer["ok"]:
                    self._socket = socket_
                    self._reading = asyncio.create_task(self._read())
                    return self
                if answer["error"]["code"] != "UNAVAILABLE":
                    raise RuntimeError(f"refused: {answer['error']}")
                await socket_.close()
                await asyncio.sleep(0.1)

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                frame = json.loads(message)
                if frame["type"] == "res":
                    if (waiting := self._answers.pop(frame["id"], None)) is not None:
                        waiting.set_result(frame)
                    continue
                self.events += 1
                payload = frame["payload"]
                if frame["event"] == "chat" and payload["state"] in ("final", "error", "aborted"):
                    self.ended.setdefault(payload["runId"], asyncio.Event()).set()
        except WebSocketException:
            pass  # the gateway has ended

    async def call(self, method: str, params: dict[str, Any], number: int) -> Any:
        """Send a request and return the payload of its answer."""
        assert self._socket is not None
        request = f"{method}-{number}"
        waiting = self._answers[request] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"type": "req", "id": request, "method": method, "params": params}))
        frame = await asyncio.wait_for(waiting, ANSWER)
        if not frame["ok"]:
            raise RuntimeError(f"{method}: {frame['error']}")
        return frame["payload"]

    async def turn(self, session: str, message: str, number: int) -> None:
        """Send a message and wait until its run has ended."""
        run_id = f"run-{os.getpid()}-{id(self)}-{number}"
        ended = self.ended.setdefault(run_id, asyncio.Event())
        await self.call("chat.send", {"sessionKey": session, "message": message, "idempotencyKey": run_id}, number)
        await asyncio.wait_for(ended.wait(), ANSWER)
        del self.ended[run_id]

    async def close(self) -> None:
        """Disconnect."""
        if self._socket is not None and self._reading is not None:
            await self._socket.close()
            await self._reading


def prepare(home: Path, llm: str) -> int:
    """Write the configuration that both runtimes take and return its port."""
    port = free_port()
    for folder in (home / "state", home / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    provider = {"baseUrl": llm, "apiKey": "x", "api": "openai-completions", "models": [MODEL]}
    config = {
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "port": port,
            "auth": {"mode": "token", "token": TOKEN},
            "controlUi": {"enabled": False},
        },
        "models": {"mode": "replace", "providers": {"local": provider}},
        "agents": {
            "defaults": {
                "model": {"primary": "local/fake-model"},
                "workspace": str(home / "state" / "workspace"),
                "heartbeat": {"every": "0m"},
            }
        },
    }
    (home / "openclaw.json").write_text(json.dumps(config))
    return port


def environment(home: Path, runtime: str) -> dict[str, str]:
    """Return a gateway's environment."""
    own = openclaw.recipe().env if runtime == "openclaw" else {}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "OPENCLAW_STATE_DIR": str(home / "state"),
        "OPENCLAW_CONFIG_PATH": str(home / "openclaw.json"),
        **own,
    }


async def run(runtime: str, home: Path, port: int) -> Gateway:
    """Start a gateway by exec and wait for its first hello."""
    argv = [sys.executable, "-m", "tenant_gateway"] if runtime == "native" else [*openclaw.recipe().run[1:]]
    with (home / "gateway.log").open("ab") as log:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=home / "state", env=environment(home, runtime), stdout=log, stderr=log, start_new_session=True
        )
    gateway = Gateway(port, process.pid, lambda: process.send_signal(signal.SIGTERM), process.wait)
    try:
        await _first_hello(gateway, began)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return gateway


async def _first_hello(gateway: Gateway, began: float) -> None:
    async with asyncio.timeout(GIVE_UP):
        while True:
            try:
                socket.create_connection(("127.0.0.1", gateway.port), 1).close()
                break
            except OSError:
                await asyncio.sleep(0.002)
    gateway.listening = time.monotonic() - began
    client = await gateway.client()
    gateway.hello = time.monotonic() - began
    gateway.hello_cpu = gateway.cpu()
    await client.close()


async def spare_wake(home: Path, port: int) -> float:
    """Let a process that has everything imported become the gateway; return seconds from then to its first hello."""
    recipe = native.recipe()
    launcher = await start("", recipe.preload, recipe.path)
    await _imported(launcher.warden.pid)
    log = os.open(home / "gateway.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    lock = os.open(home / "lock", os.O_WRONLY | os.O_CREAT)
    with socket.create_server(("127.0.0.1", port)) as listener:
        began = time.monotonic()
        env = {**environment(home, "native"), "LISTEN_FDS": "1"}
        plan = Plan(recipe.run, env, home / "state", path=recipe.path, listens=True)
        launcher.become(plan, {"lock": lock, "log": log, "listen": listener.fileno()})
    for descriptor in (log, lock):
        os.close(descriptor)
    try:
        client = await asyncio.wait_for(Client(port).open(), END)
        taken = time.monotonic() - began
        await client.close()
        return taken
    finally:
        launcher.terminate()
        await launcher.warden.wait(END)
        launcher.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _imported(warden: int) -> None:
    """Wait until the spare sleeps: it has imported what it was told to."""
    last = -1.0
    while True:
        used = sum(map(_cpu, _children(warden)))
        if used == last and used:
            return
        last = used
        await asyncio.sleep(0.25)
