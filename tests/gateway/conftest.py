from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from native_world import NativeGateway, Operator, base_config

from openclaw_tenancy.demo.fakellm import FakeLLM


@pytest.fixture
async def native(tmp_path: Path, llm: FakeLLM) -> AsyncIterator[NativeGateway]:
    """A gateway that is about to be started: a test may change `config` first."""
    gateway = NativeGateway(tmp_path / "native", base_config(llm.base_url))
    yield gateway
    if gateway.process is not None:
        await gateway.stop()


@pytest.fixture
async def gateway(native: NativeGateway) -> NativeGateway:
    """A running gateway in token mode, with the fake model as its provider."""
    return await native.start()


@pytest.fixture
async def operator(gateway: NativeGateway) -> AsyncIterator[Operator]:
    """An operator with all scopes."""
    client = await gateway.operator()
    yield client
    await client.close()
