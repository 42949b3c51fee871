"""Upstream's own gateway, confined."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_machine import Machine, alive, until

from tenant_local.runtimes import INSTALLED
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime
from tenant_local.states import State

MODEL = {"id": "m", "name": "M", "contextWindow": 128000, "maxTokens": 4096}
CONFIG = {
    "models": {
        "mode": "replace",
        "providers": {
            "fake": {"baseUrl": "http://127.0.0.1:9/v1", "apiKey": "x", "api": "openai-completions", "models": [MODEL]}
        },
    },
    "agents": {"defaults": {"model": {"primary": "fake/m"}}},
}


@pytest.mark.openclaw
async def test_wakes_confined_and_ends_gracefully(machine: Machine, openclaw: OpenClawRuntime) -> None:
    limits = {"limits": {"memory": "2Gi"}}
    machine.template(runtime="openclaw", config=CONFIG, wake={"timeout": "150s"}, resources=limits)
    machine.tenant("alice")
    async with machine.fleet(dict(INSTALLED), idle_check=1.0) as fleet:
        address = await fleet.wake("alice", "a test")
        warden = fleet.describe("alice").pid
        await until(lambda: fleet.describe("alice").state is not State.WAKING, "it starts", 160)
        assert fleet.awake("alice") == address, fleet.logs("alice", 30)
        node = int(Path(f"/proc/{warden}/task/{warden}/children").read_text().split()[0])
        environment = dict(
            entry.partition("=")[::2] for entry in Path(f"/proc/{node}/environ").read_text().split("\0") if entry
        )
        assert environment["NODE_OPTIONS"] == "--max-old-space-size=1536"
        assert environment["OPENCLAW_SUPERVISOR_MODE"] == "external"
        assert environment["NODE_COMPILE_CACHE"] == str(openclaw.compile_cache)
        if fleet.confinement.isolates:
            status = Path(f"/proc/{node}/status").read_text()
            assert "NoNewPrivs:\t1" in status
            assert "Seccomp:\t2" in status
        if fleet.confinement.namespaces:
            assert not Path(f"/proc/{node}/root{machine.directory}").exists()
            assert not Path(f"/proc/{node}/root/home").exists()
        state = machine.data / "tenants" / "alice" / "state"
        assert (state / "state" / "openclaw.sqlite").exists()
        await fleet.suspend("alice", "a test")
        assert fleet.describe("alice").reason == "a test", "it ended by itself"
        assert not alive(node)
