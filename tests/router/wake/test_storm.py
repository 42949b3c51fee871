"""All parked clients of 50 sleeping tenants ask at once: so many wakes at a time, the plans by their weights, and all are answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from router_world import Client, TestFleet

from deadlines import eventually
from tenant_router.fleet import GatewayAddress
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings
from tenant_router.suspend import conversation

PLANS = {"gold": (3, 12), "silver": (2, 12), "free": (1, 26)}
"""Weight and tenants of each."""
EACH = 4
"""Parked clients a tenant."""
AT_ONCE = 4
TAKES = 0.05
"""Seconds from the fleet's start of a wake to its address."""


@dataclass
class CountingFleet(TestFleet):
    """Wakes wait for `go`; it is noted in which order they begin, and how many run."""

    __test__ = False
    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    most: int = 0

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        self.begun.append(key)
        self.running.add(key)
        self.most = max(self.most, len(self.running))
        await self.go.wait()
        address = await super().wake(key, reason)
        self.gateways[key].answers["gateway.suspend.prepare"] = {"status": "ready", "suspensionId": "s1"}
        return address

    def greeted(self, address: GatewayAddress) -> None:
        super().greeted(address)
        self.running -= {key for key, gateway in self.gateways.items() if gateway.uid == address.uid}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"relay": RelayLoop}


@pytest.fixture
async def fleet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CountingFleet]:
    monkeypatch.setattr(conversation, "QUIET", 0.0)
    fleet = CountingFleet(delay=TAKES)
    for plan, (weight, count) in PLANS.items():
        for number in range(count):
            fleet.add(f"{plan}-{number}", f"token-{plan}-{number}", plan=plan, weight=weight)
    yield fleet
    await fleet.close()


@pytest.fixture
async def router(fleet: CountingFleet) -> AsyncIterator[Router]:
    router = Router(fleet, RouterSettings(listen=("127.0.0.1", 0), max_concurrent_wakes=AT_ONCE))
    router.start()
    yield router
    await router.close()


async def park(router: Router, fleet: CountingFleet, key: str) -> None:
    uid = fleet.gateways[key].uid
    assert (await router.suspends.fence(key, uid)).quiet
    assert (await router.suspends.prepare(key, uid)).status == "ready"
    assert (await router.suspends.park(key, uid)).parked == EACH
    await fleet.stop(key)


async def asks(client: Client, name: str) -> None:
    answer = await client.call("chat.send", message=name)
    while answer["type"] != "res":  # a tick
        answer = await client.recv()
    assert answer["payload"] == {"message": name}


async def test_a_storm_of_three_plans(router: Router, fleet: CountingFleet) -> None:
    fleet.go.set()
    keys = [match.tenant.key for match in fleet.tenants.values()]
    # The free ones connected first and ask first: what comes first is not what is served first.
    keys.reverse()
    clients = {}
    for key in keys:
        clients[key] = [await Client.open(router) for _ in range(EACH)]
        for client in clients[key]:
            assert (await client.hello(f"token-{key}"))["ok"]
        await park(router, fleet, key)
    fleet.go.clear()
    fleet.begun.clear()
    asking = [
        asyncio.ensure_future(asks(client, f"{key} {n}")) for key in keys for n, client in enumerate(clients[key])
    ]
    admission = router.waker._admission
    waiting = len(keys) - AT_ONCE
    await eventually(lambda: admission.waiting == waiting, 20, "all others wait for their turn")
    assert len(fleet.running) == AT_ONCE
    fleet.go.set()
    await asyncio.gather(*asking)
    # Admission held, each tenant was woken once, and each message came to one gateway once.
    assert fleet.most == AT_ONCE
    assert sorted(fleet.begun) == sorted(keys)
    for key in keys:
        said = [params["message"] for method, params in fleet.gateways[key].requests if method == "chat.send"]
        assert sorted(said) == [f"{key} {number}" for number in range(EACH)]
        for client in clients[key]:
            assert client.ws.close_code is None
    in_order_of_weight([key.partition("-")[0] for key in fleet.begun[AT_ONCE:]])


def in_order_of_weight(turns: list[str]) -> None:
    """While all plans wait each gets its share of the turns, never more than one from it; then the others share theirs."""
    left = Counter(turns)
    served: Counter[str] = Counter()
    total = sum(weight for weight, _ in PLANS.values())
    for number, plan in enumerate(turns, 1):
        served[plan] += 1
        left[plan] -= 1
        if not all(left[one] for one in PLANS):
            break
        for one, (weight, _) in PLANS.items():
            assert abs(served[one] - number * weight / total) <= 1, (number, one, turns)
    last = {plan: len(turns) - turns[::-1].index(plan) for plan in PLANS}
    assert last["gold"] < last["silver"] < last["free"], turns
    assert last["gold"] <= 2 * PLANS["gold"][1], turns
