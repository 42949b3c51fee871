from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from calls import Recording, record
from gateways import native, upstream

from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime


@pytest.fixture(scope="session")
def model() -> Iterator[FakeLLM]:
    """One model for both gateways, in a thread of its own."""
    fake, loop = FakeLLM(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fakellm of the contract")
    thread.start()
    asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result(10)
    try:
        yield fake
        asyncio.run_coroutine_threadsafe(fake.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@dataclass(frozen=True)
class Both:
    """What came of the calls in both runtimes."""

    upstream: Recording
    native: Recording
    upstream_state: Path
    """The state directory that upstream's gateway left."""


@pytest.fixture(scope="session")
def both(openclaw: OpenClawRuntime, model: FakeLLM, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """The answers of upstream's gateway and of the native one to the same calls. Upstream starts once a session."""
    home = tmp_path_factory.mktemp("contract")
    with upstream(openclaw, home / "upstream", model.base_url) as gateway:
        theirs = asyncio.run(record(gateway))
    with native(home / "native", model.base_url) as gateway:
        ours = asyncio.run(record(gateway))
    return Both(theirs, ours, home / "upstream" / "state")


@pytest.fixture
def recordings(both: Both) -> tuple[Recording, Recording]:
    """Upstream's answers and ours."""
    return both.upstream, both.native
