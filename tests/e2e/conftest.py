"""One running product for the tests that only talk to it; those that break things make their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from clients.npm_clients import NpmClients, install
from e2e_world import World
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.runtimes.openclaw_install import OpenClawRuntime, default_cache_dir


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(openclaw: OpenClawRuntime, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """`anna` runs natively, `bert` on upstream's gateway; both sleep until somebody writes."""
    async with FakeLLM() as llm:
        shared = World(tmp_path_factory.mktemp("world"), llm, openclaw)
        await shared.add("anna", "native")
        await shared.add("bert", "openclaw")
        async with shared.running():
            yield shared


@pytest_asyncio.fixture(loop_scope="package")
async def fresh(openclaw: OpenClawRuntime, tmp_path: Path) -> AsyncIterator[World]:
    """A world of its own, with nobody in it and nothing running."""
    async with FakeLLM() as llm:
        yield World(tmp_path, llm, openclaw)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def npm_clients(openclaw: OpenClawRuntime) -> NpmClients:
    """Clients that others wrote, installed once per machine."""
    return await install(openclaw, default_cache_dir())
