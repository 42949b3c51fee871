"""A router on a free port of this loop, with a fleet whose gateways are small real WebSocket servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from router_world import TestFleet

from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"relay": RelayLoop}


@pytest.fixture
async def fleet() -> AsyncIterator[TestFleet]:
    fleet = TestFleet()
    yield fleet
    await fleet.close()


@pytest.fixture
async def router(fleet: TestFleet) -> AsyncIterator[Router]:
    router = Router(fleet, RouterSettings(listen=("127.0.0.1", 0), admin=("127.0.0.1", 0)))
    router.start()
    yield router
    await router.close()
