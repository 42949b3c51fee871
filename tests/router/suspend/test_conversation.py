"""Fence, prepare, park, open: with a router, gateways that are real servers, and clients that ask at the wrong moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from router_world import Client, Gateway, TestFleet

from deadlines import eventually
from tenant_router import live
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings
from tenant_router.suspend import conversation
from tenant_router.suspend.answers import NoSuchTenant, OtherIncarnation

READY = {"status": "ready", "suspensionId": "s1"}
WAIT = 10.0


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"relay": RelayLoop}


@pytest.fixture(autouse=True)
def quiet_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "QUIET", 0.0)


@pytest.fixture
async def fleet() -> AsyncIterator[TestFleet]:
    fleet = TestFleet()
    fleet.add("anna", "token-anna")
    yield fleet
    await fleet.close()


@pytest.fixture
async def router(fleet: TestFleet) -> AsyncIterator[Router]:
    router = Router(fleet, RouterSettings(listen=("127.0.0.1", 0), admin=("127.0.0.1", 0), drain_timeout=7.0))
    router.start()
    yield router
    await router.close()


@asynccontextmanager
async def connected(router: Router) -> AsyncIterator[Client]:
    client = await Client.open(router)
    hello = await client.hello("token-anna")
    assert hello["ok"]
    try:
        yield client
    finally:
        await client.ws.close()


def gateway(fleet: TestFleet) -> Gateway:
    found = fleet.gateways["anna"]
    found.answers["gateway.suspend.prepare"] = READY
    found.answers["health"] = {"ok": True}
    return found


async def asleep(router: Router, fleet: TestFleet) -> None:
    """The whole conversation, as who leads it has it."""
    uid = gateway(fleet).uid
    assert (await router.suspends.fence("anna", uid)).quiet
    assert (await router.suspends.prepare("anna", uid)).status == "ready"
    await router.suspends.park("anna", uid)
    await fleet.stop("anna")


async def test_a_parked_client_is_answered_and_wakes_with_a_request(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        assert (await client.call("sessions.messages.subscribe", key="a"))["ok"]
        await asleep(router, fleet)
        assert router.lot.count("anna") == 1
        assert (await client.recv())["event"] == "tick"
        assert (await client.call("health"))["payload"] == {"ok": True}
        assert fleet.starts["anna"] == 1
        assert (await client.call("chat.send", message="hi"))["payload"] == {"message": "hi"}
        assert fleet.starts["anna"] == 2
        assert fleet.gateways["anna"].requests == [
            ("sessions.messages.subscribe", {"key": "a"}),
            ("chat.send", {"message": "hi"}),
        ]
        assert router.lot.count("anna") == 0
        assert router.activity.of("anna").parked == 0


async def test_requests_at_the_fence_wait_and_are_served_once(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        old = gateway(fleet)
        assert (await router.suspends.fence("anna", old.uid)).quiet
        asking = asyncio.ensure_future(client.call("chat.send", message="at the fence"))
        done, _ = await asyncio.wait([asking], timeout=0.3)
        assert not done
        assert "chat.send" not in [method for method, _ in old.requests]
        await router.suspends.open("anna", old.uid)
        assert (await asking)["ok"]
        assert [method for method, _ in old.requests].count("chat.send") == 1
        # The same, but the gateway sleeps.
        assert (await router.suspends.fence("anna", old.uid)).quiet
        asking = asyncio.ensure_future(client.call("chat.history"))
        await router.suspends.prepare("anna", old.uid)
        await router.suspends.park("anna", old.uid)
        await fleet.stop("anna")
        frame = await asking
        assert frame.get("event") == "tick"
        assert (await client.recv())["ok"]
        assert [method for method, _ in old.requests].count("chat.history") == 0
        assert [method for method, _ in fleet.gateways["anna"].requests] == ["chat.history"]


async def test_a_client_that_connects_at_the_fence_gets_the_next_gateway(router: Router, fleet: TestFleet) -> None:
    async with connected(router):
        old = gateway(fleet)
        assert (await router.suspends.fence("anna", old.uid)).quiet
        second = await Client.open(router)
        greeting = asyncio.ensure_future(second.hello("token-anna"))
        done, _ = await asyncio.wait([greeting], timeout=0.3)
        assert not done
        await router.suspends.prepare("anna", old.uid)
        await router.suspends.park("anna", old.uid)
        # It still runs, and is not dialled any more.
        done, _ = await asyncio.wait([greeting], timeout=0.3)
        await fleet.stop("anna")
        assert (await asyncio.wait_for(greeting, WAIT))["ok"]
        assert fleet.gateways["anna"].uid != old.uid
        await second.ws.close()


async def test_others_come_back_when_one_wakes(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as one, connected(router):
        await asleep(router, fleet)
        assert router.activity.of("anna").parked == 2
        await one.recv()
        await one.call("chat.send")
        await eventually(lambda: router.activity.of("anna").parked == 0, WAIT, "both are back")
        assert len(fleet.gateways["anna"].live) == 2


async def test_busy_and_open(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        found = gateway(fleet)
        found.answers["cron.status"] = {"nextWakeAtMs": 1234567890123}
        found.answers["gateway.suspend.prepare"] = {
            "status": "busy",
            "reason": "active-work",
            "retryAfterMs": 20000,
            "blockers": [{"kind": "chat-run", "count": 1, "message": "1 active chat run(s)"}],
        }
        assert (await router.suspends.prepare("anna", found.uid)).status == "busy"  # not fenced
        await router.suspends.fence("anna", found.uid)
        prepared = await router.suspends.prepare("anna", found.uid)
        assert (prepared.status, prepared.reason, prepared.retry_after_ms) == ("busy", "1 active chat run(s)", 20000)
        assert prepared.next_wake_at_ms == 1234567890123
        await router.suspends.open("anna", found.uid)
        assert (await client.call("echo", a=1))["payload"] == {"a": 1}
        assert "gateway.suspend.resume" not in [method for method, _ in found.requests]
        found.answers["gateway.suspend.prepare"] = READY
        await router.suspends.fence("anna", found.uid)
        assert (await router.suspends.prepare("anna", found.uid)).status == "ready"
        await router.suspends.open("anna", found.uid)
        assert ("gateway.suspend.resume", {"suspensionId": "s1"}) in found.requests


async def test_who_is_not_meant(router: Router, fleet: TestFleet) -> None:
    async with connected(router):
        for step in (router.suspends.fence, router.suspends.prepare, router.suspends.park, router.suspends.open):
            with pytest.raises(NoSuchTenant):
                await step("nobody", "x")
            with pytest.raises(OtherIncarnation):
                await step("anna", "another")


async def test_a_fence_opens_by_itself(router: Router, fleet: TestFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "LEASE", 0.2)
    async with connected(router) as client:
        await router.suspends.fence("anna", gateway(fleet).uid)
        assert (await client.call("echo", a=1))["payload"] == {"a": 1}


async def test_a_request_just_now_keeps_it_awake(
    router: Router, fleet: TestFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "QUIET", 5.0)
    async with connected(router) as client:
        await client.call("chat.send")
        fenced = await router.suspends.fence("anna", gateway(fleet).uid)
        assert not fenced.quiet
        assert fenced.busy
        assert fenced.last_request > 0


async def test_another_kind_of_gateway_has_the_client_connect_anew(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        await asleep(router, fleet)
        fleet.features = ["new.method"]
        with contextlib.suppress(Exception):
            await client.call("chat.send")
        assert await client.closed() == (1012, "service restart")
        assert router.live.connections == 0


async def test_a_revoked_token_ends_a_parked_client(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        await asleep(router, fleet)
        router.live.revoke("anna")
        assert (await client.closed())[0] == 4001
        assert router.live.connections == 0
        assert router.activity.of("anna").connections == 0


async def test_a_parked_client_that_leaves_is_forgotten(router: Router, fleet: TestFleet) -> None:
    async with connected(router):
        await asleep(router, fleet)
    await eventually(lambda: router.lot.connections == 0, WAIT, "it is forgotten")
    assert router.live.connections == 0
    assert router.activity.of("anna").connections == 0


async def test_quiet_clients_of_a_gateway_that_dies_are_parked(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as quiet:
        # Long after the last request, as the clock of the test has it.
        router.activity.of("anna").last_request -= live.TURN
        await eventually(lambda: silent(router) >= live.ANSWERED, WAIT, "it is quiet for a while")
        for ws in list(gateway(fleet).live):
            ws.transport.abort()
        await fleet.stop("anna")
        await eventually(lambda: router.lot.count("anna") == 1, WAIT, "it is parked")
        assert (await quiet.recv())["event"] == "tick"
        assert (await quiet.call("chat.send"))["ok"]
        assert fleet.starts["anna"] == 2


def silent(router: Router) -> int:
    (connection,) = router.live.of("anna")
    assert connection.pair is not None
    return live.milliseconds_since_sent(connection.pair.gateway.sock)


async def test_a_client_in_a_turn_hears_that_its_gateway_died(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        await client.call("chat.send")
        for ws in list(gateway(fleet).live):
            ws.transport.abort()
        assert (await client.recv())["event"] == "shutdown"
        assert (await client.closed())[0] == 1012


async def test_a_drain_tells_parked_clients_too(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        await asleep(router, fleet)
        draining = asyncio.ensure_future(router.drain())
        assert await client.closed() == (1012, "service restart")
        await draining


async def test_whoever_waits_at_the_fence_keeps_it_awake(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        found = gateway(fleet)
        await router.suspends.fence("anna", found.uid)
        asking = asyncio.ensure_future(client.call("chat.send"))
        await asyncio.wait([asking], timeout=0.2)
        prepared = await router.suspends.prepare("anna", found.uid)
        assert (prepared.status, prepared.reason) == ("busy", "a client wants something")
        assert found.requests[-1] == ("gateway.suspend.resume", {"suspensionId": "s1"})
        await router.suspends.open("anna", found.uid)
        assert (await asking)["ok"]
        assert fleet.starts["anna"] == 1


async def test_quiet_clients_of_a_gateway_that_is_evicted_are_parked(router: Router, fleet: TestFleet) -> None:
    async with connected(router) as client:
        found = gateway(fleet)
        router.activity.of("anna").last_request -= live.TURN
        await eventually(lambda: silent(router) >= live.ANSWERED, WAIT, "it is quiet for a while")
        del fleet.addresses["anna"]  # its pod is being deleted, as the fleet's watch says
        await eventually(lambda: router.lot.count("anna") == 1, WAIT, "it is parked")
        assert (await client.recv())["event"] == "tick"
        for ws in list(found.live):
            await ws.close(1012, "service restart")
        assert (await client.call("chat.send"))["ok"]
        assert fleet.starts["anna"] == 2
        assert fleet.gateways["anna"] is not found
        await found.stop()
