"""The whole product as a person has it: `openclaw-tenancy up` as a child process, two tenants, real clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.openclaw_cli import OpenClawCli
from deadlines import eventually
from openclaw_tenancy.demo.client import GatewayClient
from openclaw_tenancy.demo.fakellm import FakeLLM
from openclaw_tenancy.demo.machine import Machine, command, machine, new_token
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

COMMAND_TIMEOUT = 150.0
"""Seconds for one of our commands: `wake` waits for a gateway, which on a machine that does much else takes a minute."""

TEMPLATE = """\
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: TenantTemplate
metadata: {{name: on-{runtime}}}
spec:
  version: "1"
  runtime: {runtime}
  idle: {{timeout: {idle}}}
  wake: {{timeout: {wake}}}
  config: |
    {{
      models: {{ mode: "replace", providers: {{ local: {{
        baseUrl: "{llm}", apiKey: "${{LLM_KEY}}", api: "openai-completions",
        models: [{{ id: "fake-model", name: "Fake", reasoning: false, input: ["text"],
                   cost: {{ input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }}, contextWindow: 128000, maxTokens: 4096 }}],
      }} }} }},
      agents: {{ defaults: {{ model: {{ primary: "local/fake-model" }}, heartbeat: {{ every: "0m" }} }} }},
    }}
"""

TENANT = """\
apiVersion: openclaw-tenancy.dev/v1alpha1
kind: Tenant
metadata: {{name: {name}}}
spec:
  userId: "{name}"
  templateRef: {{name: on-{runtime}}}
  credentials: {{secretRef: {{name: {name}-keys}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: {name}-keys}}
stringData: {{LLM_KEY: sk-of-{name}}}
"""


@dataclass
class World:
    """Tenant files, a running `up`, and what is needed to be its clients."""

    root: Path
    llm: FakeLLM
    runtime: OpenClawRuntime
    tokens: dict[str, str] = field(default_factory=dict)
    machine: Machine | None = None
    _clients: int = 0

    @property
    def directory(self) -> Path:
        return self.root / "tenants"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def up(self) -> Machine:
        assert self.machine is not None
        return self.machine

    async def add(self, name: str, runtime: str, idle: str = "15m", wake: str = "150s") -> None:
        """Write a tenant's file (and its template's) and make it a token."""
        self.directory.mkdir(parents=True, exist_ok=True)
        template = self.directory / f"template-{runtime}.yaml"
        template.write_text(TEMPLATE.format(runtime=runtime, idle=idle, wake=wake, llm=self.llm.base_url))
        file = self.directory / f"{name}.yaml"
        file.touch(mode=0o600)
        file.write_text(TENANT.format(name=name, runtime=runtime))
        self.tokens[name] = await new_token(name, self.directory)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Machine]:
        """Run `up` while the block runs."""
        async with machine(self.directory, self.data, self.root / "up.log") as self.machine:
            yield self.machine
        self.machine = None

    def cli(self, name: str, token: str | None = None) -> OpenClawCli:
        """Return a fresh installation of upstream's client with this tenant's token."""
        self._clients += 1
        home = self.root / f"client-{self._clients}"
        return OpenClawCli(self.runtime, home, self.up.url, token or self.tokens[name])

    def client(self, name: str, **kwargs: Any) -> GatewayClient:
        """Return our small client with this tenant's token."""
        return GatewayClient(self.up.url, self.tokens[name], **kwargs)

    async def command(self, *args: str) -> Any:
        """Run `openclaw-tenancy ARGS --admin … --json`; return its JSON."""
        argv = [*command(), *args, "--admin", self.up.up.admin, "--json"]
        process = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT)
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    async def asleep(self, name: str) -> None:
        """Put a tenant to sleep, if it is not, and wait until no process of it is left."""
        one = await self.up.tenant(name)
        if one["state"] not in ("asleep", "failed"):
            await self.command("suspend", name)
        await eventually(lambda: self._is_asleep(name), 30, f"{name} asleep")
        if one["pid"]:
            await eventually(lambda: not Path(f"/proc/{one['pid']}").exists(), 10, "its process has gone")

    def watched(self, name: str) -> Watched:
        """Return a tenant as `evening` looks at it."""
        return Watched(self, name)

    async def _is_asleep(self, name: str) -> bool:
        return (await self.up.tenant(name))["state"] in ("asleep", "failed")

    def gateways(self, name: str) -> list[int]:
        """Return the processes that serve this tenant's state directory: those that hold its lock, without their children."""
        try:
            lock = (self.data / "tenants" / name / "gateway.lock").stat()
        except FileNotFoundError:
            return []
        holders = {pid: _parent(pid) for pid in pids() if _has_open(pid, lock)}
        return [pid for pid, parent in holders.items() if parent not in holders]


@dataclass(frozen=True)
class Watched:
    """A tenant of a world, from its admin port and from the processes of the machine."""

    world: World
    name: str

    async def gone(self) -> bool:
        return (await self.world.up.tenant(self.name))["state"] == "asleep" and not self.world.gateways(self.name)

    async def wakes(self) -> int:
        return int((await self.world.up.tenant(self.name))["wakes"])

    async def reason(self) -> str:
        return str((await self.world.up.tenant(self.name))["reason"])


def pids() -> list[int]:
    """Return all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they did."""
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []  # it ended meanwhile
    return [*children, *(one for child in children for one in descendants(child))]


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.path.samestat(descriptor.stat(), wanted):
                    return True
    except OSError:
        pass  # it ended meanwhile
    return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it ended meanwhile
