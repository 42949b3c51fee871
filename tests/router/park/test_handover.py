"""A router that ends tells quiet clients, one tenant after another, and leaves what goes on alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest
from router_world import Client, TestFleet

from tenant_router.loop import RelayLoop
from tenant_router.park import handover
from tenant_router.server import Router
from tenant_router.settings import RouterSettings

CLIENTS, TENANTS = 30, 10
SPREAD = 1.5


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"relay": RelayLoop}


@pytest.fixture
async def fleet() -> AsyncIterator[TestFleet]:
    fleet = TestFleet()
    for number in range(TENANTS):
        fleet.add(f"t{number}", f"token-{number}")
    yield fleet
    await fleet.close()


async def test_everybody_moves_to_the_other_router(fleet: TestFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "SILENT", 1000)
    settings = RouterSettings(listen=("127.0.0.1", 0), drain_timeout=20.0, handover=SPREAD)
    old, new = Router(fleet, settings), Router(fleet, settings)
    for router in (old, new):
        router.start()
    clients = [await Client.open(old) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        assert (await client.hello(f"token-{number % TENANTS}"))["ok"]
    busy = clients[0]
    began = time.monotonic()
    talking = asyncio.ensure_future(talk(busy, 60))
    moves = [
        asyncio.ensure_future(move(client, new, number % TENANTS)) for number, client in enumerate(clients) if number
    ]
    draining = asyncio.ensure_future(old.drain())
    there = await asyncio.gather(*moves)
    moved = sorted(when for when, _ in there)
    assert not talking.done()
    # A tenant at a time: half of them later than a third of the time.
    assert moved[len(moved) // 2] - began > SPREAD / 3
    assert await talking == 60
    assert await busy.closed() == (1012, "service restart")
    await draining
    assert new.live.connections == CLIENTS - 1
    await new.close()


async def talk(client: Client, times: int) -> int:
    """Something goes on every 100 ms."""
    for number in range(times):
        assert (await client.call("echo", i=number))["payload"] == {"i": number}
        await asyncio.sleep(0.1)
    return times


async def move(client: Client, to: Router, tenant: int) -> tuple[float, Client]:
    """Connect anew when told to, as official clients do."""
    async with asyncio.timeout(20):
        told = json.loads(await client.ws.recv())
    assert told["event"] == "shutdown"
    assert await client.closed() == (1012, "service restart")
    when = time.monotonic()
    again = await Client.open(to)
    assert (await again.hello(f"token-{tenant}"))["ok"]
    assert (await again.call("echo", a=1))["payload"] == {"a": 1}
    return when, again
