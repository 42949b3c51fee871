"""A machine with Tenant files and a fleet whose gateways are doubles."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenant_local.confine.probe import Confinement
from tenant_local.fleet import LocalFleet
from tenant_local.process import site_folders
from tenant_local.runtimes.recipe import Recipe
from tenant_local.settings import LocalSettings
from tenant_local.states import State
from tenant_router.activity import Activity
from tenant_router.fleet import GatewayAddress
from tenant_router.suspend.conversation import Suspends

DOUBLES = Path(__file__).parent / "doubles"


def double_recipe() -> Recipe:
    return Recipe(
        run=("module", "double_gateway"),
        preload=("http.server",),
        path=[str(DOUBLES), *site_folders()],
        read=[DOUBLES],
        inherits_socket=True,
        grace=10.0,
    )


def token_of(name: str) -> str:
    return f"oct_{name}"


def digest_of(name: str) -> bytes:
    return hashlib.sha256(token_of(name).encode()).digest()


@dataclass
class Machine:
    """One machine's files, before and while a fleet serves them."""

    root: Path
    activity: Activity = field(default_factory=Activity)
    revoked: list[tuple[str, frozenset[str] | None]] = field(default_factory=list)
    reports: list[list[Any]] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.root / "tenants"

    @property
    def data(self) -> Path:
        return self.root / "data"

    def template(self, name: str = "standard", config: dict[str, Any] | None = None, **spec: Any) -> None:
        document = {
            "apiVersion": "openclaw-tenancy.dev/v1alpha1",
            "kind": "TenantTemplate",
            "metadata": {"name": name, "annotations": spec.pop("annotations", {})},
            "spec": {"version": "1", "runtime": "native", "config": json.dumps(config or {}), **spec},
        }
        self.write(f"template-{name}.json", document)

    def tenant(self, name: str, template: str = "standard", **spec: Any) -> None:
        document = {
            "apiVersion": "openclaw-tenancy.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": name},
            "spec": {
                "userId": f"user-{name}",
                "templateRef": {"name": template},
                "tokens": [{"name": "phone", "sha256": digest_of(name).hex()}],
                **spec,
            },
        }
        self.write(f"{name}.json", document)

    def write(self, file: str, document: Any) -> None:
        self.directory.mkdir(exist_ok=True)
        (self.directory / file).write_text(document if isinstance(document, str) else json.dumps(document, indent=1))

    def remove(self, name: str) -> None:
        (self.directory / f"{name}.json").unlink()

    def settings(self, **more: Any) -> LocalSettings:
        return LocalSettings(directory=self.directory, data=self.data, **{"idle_check": 0.05, "spares": 0, **more})

    @asynccontextmanager
    async def fleet(
        self,
        recipes: dict[str, Callable[[], Recipe]] | None = None,
        confinement: Confinement | None = None,
        suspends: Callable[[], Suspends] | None = None,
        **settings: Any,
    ) -> AsyncIterator[LocalFleet]:
        fleet = LocalFleet(
            self.settings(**settings),
            self.activity,
            recipes=recipes or {"native": double_recipe},
            confinement=confinement,
            revoked=lambda name, tokens: self.revoked.append((name, tokens)),
            reported=lambda errors: self.reports.append(list(errors)),
            suspends=suspends,
        )
        await fleet.start()
        try:
            yield fleet
        finally:
            await fleet.stop(15.0)


async def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.01)


async def awake(fleet: LocalFleet, name: str, reason: str = "test") -> GatewayAddress:
    """Wake a tenant and wait until it has answered."""
    address = await fleet.wake(name, reason)
    await until(lambda: fleet.describe(name).state is not State.WAKING, f"{name} wakes")
    assert fleet.describe(name).state is State.AWAKE, fleet.describe(name).reason
    return address


async def ask(address: GatewayAddress, path: str, body: str | None = None) -> Any:
    """Send one HTTP request to a double and return the JSON it answers."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        data = (body or "").encode()
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def evaluate(address: GatewayAddress, code: str) -> Any:
    """Run Python text inside a double; returns `result`, or raises OSError with its errno and what else failed as RuntimeError."""
    said = await ask(address, "/eval", code)
    if "error" not in said:
        return said["result"]
    if said["errno"] is not None:
        raise OSError(said["errno"], os.strerror(said["errno"]), said["error"])
    raise RuntimeError(said["text"])


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text[text.rindex(")") + 2] not in "ZX"
