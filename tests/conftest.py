"""What tests of every area share: the real OpenClaw, its clients, and a language model that costs nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.openclaw_cli import OpenClawCli
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.runtimes.openclaw_install import (
    InstallStep,
    OpenClawRuntime,
    default_cache_dir,
    install,
    installed,
)
from terminal import terminal

pytest_plugins = ["browser.fixtures", "cluster.fixtures"]


@pytest.fixture(scope="session")
def openclaw(request: pytest.FixtureRequest) -> OpenClawRuntime:
    """Upstream's OpenClaw from npm, installed once per machine, with progress on the terminal."""
    if found := installed(default_cache_dir()):
        return found
    write_line, uncaptured = terminal(request.config)

    def progress(step: InstallStep) -> None:
        if step.done:
            size = f", {step.size / 1e6:.0f} MB" if step.size else ""
            write_line(f"  openclaw runtime: {step.text}: {step.seconds:.0f} s{size}")

    with uncaptured():
        write_line("")
        return install(default_cache_dir(), progress)


@pytest.fixture
def openclaw_cli(openclaw: OpenClawRuntime, tmp_path: Path) -> Callable[..., OpenClawCli]:
    """Makes clients: `openclaw_cli(url, token)`, each with a home of its own."""
    made: list[OpenClawCli] = []

    def make(url: str, token: str) -> OpenClawCli:
        made.append(OpenClawCli(openclaw, tmp_path / f"client-{len(made)}", url, token))
        return made[-1]

    return make


@pytest.fixture
def llm() -> Iterator[FakeLLM]:
    """A scripted language model on a loopback port, in a thread of its own so that blocking tests can use it too."""
    model = FakeLLM()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fakellm")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(model.__aenter__(), loop).result(10)
        yield model
        asyncio.run_coroutine_threadsafe(model.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
