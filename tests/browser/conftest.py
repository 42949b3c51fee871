"""A person's browser in front of the whole product: `up` on a port of its own, and Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deadlines import eventually
from e2e_world import World
from openclaw_tenancy.demo.fakellm import FakeLLM
from openclaw_tenancy.demo.machine import Machine, command
from openclaw_tenancy.running import running
from ports import free_port
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime


@pytest.fixture
async def world(openclaw: OpenClawRuntime, tmp_path: Path) -> AsyncIterator[World]:
    async with FakeLLM() as llm:
        yield World(tmp_path / "world", llm, openclaw)


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """Run `up` on a port that is known before, as its web page's origin is; yields the URL of the page."""
    listen, admin = f"127.0.0.1:{free_port()}", "127.0.0.1:0"
    log = world.root / "up.log"
    argv = [*command(), "up", str(world.directory), "--listen", listen, "--admin", admin, "--data", str(world.data)]
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=-3, stdout=output, stderr=output, start_new_session=True
        )
    try:
        up = await eventually(
            lambda: next((one for one in running() if one.pid == process.pid), None), 30, "up is ready"
        )
        world.machine = Machine(world.data, log, process, up)
        yield f"http://{listen}"
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 60)
        world.machine = None
