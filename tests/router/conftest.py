"""A router on a free port of this loop, with a fleet whose gateways are small real WebSocket servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from router_world import Gateway, TestFleet
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings


class RelayLoopPolicy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> RelayLoop:
        return RelayLoop()


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return RelayLoopPolicy()


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
