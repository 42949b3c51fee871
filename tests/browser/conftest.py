"""A person's browser in front of the whole product: `up` on a port of its own, and Chromium."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apt import NotInstalled, install
from browser.chromium import ChromiumMissing, Page, chromium, chromium_program
from deadlines import eventually
from e2e_world import World
from openclaw_tenancy.demo.fakellm import FakeLLM
from openclaw_tenancy.demo.machine import Machine, command
from openclaw_tenancy.running import running
from ports import free_port
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime


@pytest.fixture(scope="session")
def browser_program(request: pytest.FixtureRequest) -> str:
    """Chromium, installed from Debian's packages when it is missing and we may."""
    with contextlib.suppress(ChromiumMissing):
        return chromium_program()
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            asyncio.run(install("chromium", lambda line: terminal.write_line(f"\n  {line}")))
        except NotInstalled as missing:
            pytest.fail(f"{missing}\nOr leave these tests out with --ignore tests/browser", pytrace=False)
    return chromium_program()


@pytest.fixture
async def page(browser_program: str, tmp_path: Path) -> AsyncIterator[Page]:
    """A browser that has never been here."""
    async with chromium(tmp_path / "profile") as page:
        yield page


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
