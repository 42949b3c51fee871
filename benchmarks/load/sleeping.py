"""Router, local fleet and gateways on the loop of the caller, so that a tenant can be put to sleep at a chosen instant."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.fleet import LocalFleet
from tenant_local.settings import LocalSettings
from tenant_local.sleep import Later, put_to_sleep
from tenant_router.activity import Activity
from tenant_router.listener import listening_socket
from tenant_router.server import Router
from tenant_router.settings import RouterSettings

API = "openclaw-tenancy.dev/v1alpha1"
CONFIG = """{ models: { mode: "replace", providers: { local: { baseUrl: "%s", apiKey: "x", api: "openai-completions",
  models: [{ id: "fake-model", name: "Fake", reasoning: false, input: ["text"],
             cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, contextWindow: 128000, maxTokens: 4096 }] } } },
  agents: { defaults: { model: { primary: "local/fake-model" }, heartbeat: { every: "0m" } } } }"""
ANSWER = 200.0
"""Seconds for an answer; a wake of upstream's runtime takes 8 on a quiet machine and 60 on one that does much else."""
HELLO = 15.0
"""Seconds for a hello, as official clients wait (openclaw-protocol 3.4)."""


@dataclass(slots=True)
class OneMachine:
    """What `one_machine` runs."""

    router: Router
    fleet: LocalFleet
    runtime: str

    @property
    def url(self) -> str:
        """Where clients connect."""
        host, port = self.router.address
        return f"ws://{host}:{port}"

    async def sleep(self, name: str) -> Later | None:
        """Try to put a tenant to sleep as its fleet would when it is idle; None: it sleeps."""
        return await put_to_sleep(self.router.suspends, self.fleet._lives[name], self.runtime, "a benchmark")

    def pid(self, name: str) -> int | None:
        """Return the process of a tenant's gateway."""
        return self.fleet.describe(name).pid


@asynccontextmanager
async def one_machine(
    root: Path, names: list[str], llm: FakeLLM, runtime: str = "native", idle: str = "1h", spares: int = 1
) -> AsyncIterator[OneMachine]:
    """Run it while the block runs. A tenant's token is `token-NAME`."""
    directory = root / "tenants"
    directory.mkdir()
    spec: dict[str, Any] = {
        "version": "1",
        "runtime": runtime,
        "config": CONFIG % llm.base_url,
        "idle": {"timeout": idle},
    }
    spec["wake"] = {"timeout": "150s"}
    template = {"apiVersion": API, "kind": "TenantTemplate", "metadata": {"name": "standard"}, "spec": spec}
    (directory / "template.json").write_text(json.dumps(template))
    for name in names:
        token = {"name": "only", "sha256": hashlib.sha256(f"token-{name}".encode()).hexdigest()}
        tenant = {"userId": name, "templateRef": {"name": "standard"}, "tokens": [token]}
        document = {"apiVersion": API, "kind": "Tenant", "metadata": {"name": name}, "spec": tenant}
        (directory / f"{name}.json").write_text(json.dumps(document))
    activity = Activity()
    fleet = LocalFleet(
        LocalSettings(directory=directory, data=root / "data", unconfined=True, spares=spares),
        activity,
        suspends=lambda: router.suspends,
    )
    router = Router(fleet, RouterSettings(listen=("127.0.0.1", 0), max_concurrent_wakes=4), activity)
    await fleet.start()
    router.start(listening_socket("127.0.0.1", 0))
    try:
        yield OneMachine(router, fleet, runtime)
    finally:
        await router.close()
        await fleet.stop(30.0)


class Talker:
    """A client of the protocol that stays connected, and comes back as official clients do when it is told 1012 or 1013."""

    def __init__(self, url: str, name: str, scopes: tuple[str, ...] = ("operator.admin",)) -> None:
        self.url = url
        self.name = name
        self.scopes = scopes
        self.connects = 0
        self.errors: list[str] = []
        self.events: list[str] = []
        """Names of events since the last question."""
        self.sequence: list[int] = []
        """Their numbers."""
        self._ws: ClientConnection | None = None

    async def connect(self) -> None:
        """Connect until there is a hello."""
        async with asyncio.timeout(ANSWER):
            while True:
                with suppress(ConnectionClosed, OSError):
                    self._ws = await connect(self.url, compression=None, ping_interval=None, max_size=None)
                    params = {
                        "minProtocol": 4,
                        "maxProtocol": 4,
                        "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
                        "role": "operator",
                        "scopes": list(self.scopes),
                        "auth": {"token": f"token-{self.name}"},
                    }
                    try:
                        async with asyncio.timeout(HELLO):
                            greeted = await self._ask("connect", params)
                    except TimeoutError:
                        self.errors.append("no hello in time")
                        await self.close()
                        continue
                    if greeted["ok"]:
                        self.connects += 1
                        return
                await asyncio.sleep(0.1)

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert self._ws is not None
        wanted = str(uuid.uuid4())
        await self._ws.send(json.dumps({"type": "req", "id": wanted, "method": method, "params": params}))
        while True:
            frame = await self._next()
            if frame.get("id") == wanted:
                return frame

    async def _next(self) -> dict[str, Any]:
        assert self._ws is not None
        frame: dict[str, Any] = json.loads(await self._ws.recv())
        if frame["type"] == "event":
            self.events.append(frame["event"])
            if "seq" in frame:
                self.sequence.append(frame["seq"])
        return frame

    async def call(self, method: str, **params: Any) -> Any:
        """Return the payload of an answer; asked again when the connection ends before it."""
        self.events.clear()
        async with asyncio.timeout(ANSWER):
            while True:
                try:
                    answer = await self._ask(method, params)
                except ConnectionClosed as closed:
                    self.errors.append(str(closed))
                    await self.connect()
                    continue
                if answer["ok"]:
                    return answer["payload"]
                self.errors.append(f"{method}: {answer['error']['code']} {answer['error'].get('details')}")
                if not answer["error"].get("retryable"):
                    raise RuntimeError(self.errors[-1])
                await asyncio.sleep(0.2)

    async def say(self, message: str) -> str:
        """Send a message and return the whole reply, sending it again under the same key when the connection ends."""
        run = str(uuid.uuid4())
        params = {"sessionKey": "agent:main:main", "message": message, "idempotencyKey": run}
        async with asyncio.timeout(ANSWER):
            while True:
                try:
                    started = await self._ask("chat.send", params)
                    if not started["ok"]:
                        self.errors.append(f"chat.send: {started['error']}")
                        await asyncio.sleep(0.2)
                        continue
                    if started["payload"].get("status") not in ("started", "in_flight"):
                        # A turn that was begun before the connection ended is over; its gateway says how.
                        self.errors.append(f"the turn was {started['payload'].get('status')}")
                        return ""
                    return await self._reply(run)
                except ConnectionClosed as closed:
                    self.errors.append(str(closed))
                    await self.connect()

    async def _reply(self, run: str) -> str:
        while True:
            frame = await self._next()
            if frame.get("event") == "chat" and frame["payload"].get("runId") == run:
                state = frame["payload"]["state"]
                if state == "final":
                    # A turn that the gateway's death interrupted ends without a message when it is asked for again.
                    return _text((frame["payload"].get("message") or {}).get("content"))
                if state in ("error", "aborted"):
                    raise RuntimeError(f"the turn ended: {frame['payload']}")

    async def messages(self) -> list[tuple[str, str]]:
        """Return the transcript: role and text of each message."""
        history = await self.call("chat.history", sessionKey="agent:main:main", limit=1000)
        return [(one["role"], _text(one.get("content"))) for one in history["messages"]]

    async def drain(self, seconds: float) -> None:
        """Read what comes for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self._next()

    async def close(self) -> None:
        """Close."""
        if self._ws is not None:
            await self._ws.close()


def finish(report: dict[str, Any], file: Path | None) -> None:
    """Print a report of sections, and write its numbers flat: `section_what_it_is`."""
    print(json.dumps(report, indent=2))
    if file is not None:
        sections = {name: section for name, section in report.items() if isinstance(section, dict)}
        flat = {
            f"{name} {what}".replace(" ", "_").lower(): value
            for name, section in sections.items()
            for what, value in section.items()
            if isinstance(value, int | float)
        }
        file.write_text(json.dumps(flat, indent=2))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content or ())
