"""Connections that are relayed: what they hear when the router ends, the gateway dies, or their token is revoked."""

from __future__ import annotations

import asyncio
import time

from router_world import Client, TestFleet

from tenant_router.server import Router


async def relayed(router: Router, fleet: TestFleet, token: str = "tok-a") -> Client:
    if not fleet.tenants:
        fleet.add("ada", "tok-a")
    client = await Client.open(router)
    assert (await client.hello(token))["ok"]
    return client


async def test_drain_tells_clients_as_upstream_does(router: Router, fleet: TestFleet) -> None:
    client = await relayed(router, fleet)
    drained = asyncio.create_task(router.drain())
    assert (await client.recv())["event"] == "shutdown"
    assert await client.closed() == (1012, "service restart")
    async with asyncio.timeout(5):
        await drained
    assert not fleet.gateways["ada"].live


async def test_drain_refuses_who_comes_late(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    late = await Client.open(router)
    router.draining = True
    answer = await late.hello("tok-a")
    assert answer["error"]["details"]["reason"] == "gateway-restarting"
    assert (await late.closed())[0] == 1013


async def test_gateway_killed_is_a_service_restart_for_its_clients(router: Router, fleet: TestFleet) -> None:
    client = await relayed(router, fleet)
    for ws in list(fleet.gateways["ada"].live):
        ws.transport.abort()
    assert (await client.recv())["event"] == "shutdown"
    assert await client.closed() == (1012, "service restart")
    assert router.live.count("ada") == 0


async def test_revoked_token_closes_its_connections_and_no_others(router: Router, fleet: TestFleet) -> None:
    client = await relayed(router, fleet)
    router.live.revoke("ada", {"another"})
    assert (await client.call("echo"))["ok"]
    began = time.monotonic()
    router.live.revoke("ada", {"test"})
    assert await client.closed() == (4001, "gateway auth changed")
    assert time.monotonic() - began < 1


async def test_close_codes_pass_both_ways(router: Router, fleet: TestFleet) -> None:
    client = await relayed(router, fleet)
    for ws in list(fleet.gateways["ada"].live):
        await ws.close(4001, "gateway policy changed")
    assert await client.closed() == (4001, "gateway policy changed")
    second = await relayed(router, fleet)
    async with asyncio.timeout(5):
        while not fleet.gateways["ada"].live:
            await asyncio.sleep(0.01)
    (ws,) = fleet.gateways["ada"].live
    await second.ws.close(1000, "bye")
    async with asyncio.timeout(5):
        await ws.wait_closed()
    assert (ws.close_code, ws.close_reason) == (1000, "bye")


async def test_only_real_requests_are_activity(router: Router, fleet: TestFleet) -> None:
    client = await relayed(router, fleet)
    activity = router.activity.of("ada")
    assert activity.connections == 1
    await asyncio.sleep(1.2)  # the relay looks for requests once a second
    before = activity.last_request
    await client.call("health")
    await client.call("cron.list")
    assert activity.last_request == before
    await client.call("chat.send", message="hi")
    assert activity.last_request > before
    await client.ws.close()
    async with asyncio.timeout(5):
        while activity.connections:
            await asyncio.sleep(0.01)


async def test_each_tenant_has_its_own_passive_methods_and_a_change_of_them_counts_at_once(
    router: Router, fleet: TestFleet
) -> None:
    fleet.add("ada", "tok-a")
    fleet.add("bob", "tok-b")
    fleet.passive["ada"] = {"sessions.list"}
    ada, bob = await relayed(router, fleet), await relayed(router, fleet, "tok-b")
    seen = {name: router.activity.of(name) for name in ("ada", "bob")}
    await asyncio.sleep(1.2)  # the relay looks for requests once a second
    before = {name: one.last_request for name, one in seen.items()}
    for client in (ada, bob):
        await client.call("sessions.list")
    assert seen["ada"].last_request == before["ada"]
    assert seen["bob"].last_request > before["bob"]
    fleet.passive["ada"] = frozenset()
    await asyncio.sleep(1.2)
    await ada.call("sessions.list")
    assert seen["ada"].last_request > before["ada"]


async def test_large_messages_and_a_slow_reader(router: Router, fleet: TestFleet) -> None:
    client = await relayed(router, fleet)
    text = "x" * 3_000_000
    for i in range(4):
        answer = await client.call("echo", i=i, text=text)
        assert answer["payload"] == {"i": i, "text": text}
