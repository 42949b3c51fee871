"""Who is refused, in which words, and that nothing hangs."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import ClientSession
from router_world import Client, TestFleet

from tenant_router.connection import LASTING
from tenant_router.origin import Origins
from tenant_router.server import Router
from tenant_router.wake import hold


async def test_missing_token(router: Router, fleet: TestFleet) -> None:
    client = await Client.open(router)
    answer = await client.hello(None)
    assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISSING"
    assert (await client.closed())[0] == 1008


async def test_token_in_password_is_accepted(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    client = await Client.open(router)
    assert (await client.hello(None, auth={"password": "tok-a"}))["ok"]


@pytest.mark.parametrize("where", ["?token=tok-a", "tok-a"])
async def test_token_in_odd_places_is_no_token(router: Router, fleet: TestFleet, where: str) -> None:
    fleet.add("ada", "tok-a")
    host, port = router.address
    from websockets.asyncio.client import connect

    headers = {"Authorization": "Bearer tok-a", "Cookie": "token=tok-a"}
    ws = await connect(f"ws://{host}:{port}/{where}", additional_headers=headers, compression=None)
    client = Client(ws)
    await client.recv()
    assert (await client.hello(None))["error"]["details"]["code"] == "AUTH_TOKEN_MISSING"
    assert not fleet.starts


async def test_expired_token(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a", expires_at=time.time() - 1)
    client = await Client.open(router)
    assert (await client.hello("tok-a"))["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    assert not fleet.starts


async def test_suspended_tenant(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a", suspended=True)
    client = await Client.open(router)
    answer = await client.hello("tok-a")
    assert answer["error"]["details"]["reason"] == "tenant-suspended"
    assert not fleet.starts


async def test_a_proxy_that_is_not_trusted_is_told_of_on_both_ways_in(
    router: Router, fleet: TestFleet, caplog: pytest.LogCaptureFixture
) -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.7"}

    def warned() -> int:
        return sum("router.trustedProxies" in record.getMessage() for record in caplog.records)

    await Client.open(router, additional_headers=forwarded)
    assert warned() == 1
    router.origins = Origins(())
    host, port = router.address
    async with ClientSession() as session, session.get(f"http://{host}:{port}/v1/models", headers=forwarded) as answer:
        assert answer.status == 401
    assert warned() == 2


async def test_who_waits_for_what_only_a_person_can_mend_is_told_so_and_comes_in_once_it_is(
    router: Router, fleet: TestFleet
) -> None:
    fleet.add("ada", "tok-a")
    fleet.failure, fleet.lasting = "its config is refused (exit code 78)\nIts last words: a secret", True
    client = await Client.open(router)
    began = time.monotonic()
    error = (await client.hello("tok-a"))["error"]
    assert LASTING < time.monotonic() - began < hold.DEFAULT / 2, "not at once, nor as long as it would wait"
    assert (error["code"], error["details"]["reason"]) == ("UNAVAILABLE", "gateway-cannot-start")
    assert error["retryable"]
    assert error["message"].endswith("mended this: its config is refused (exit code 78)")
    assert await client.closed() == (1013, "the gateway can't be started")
    # A Secret that comes a moment behind its Tenant is waited for.
    client = await Client.open(router)
    held = asyncio.create_task(client.hello("tok-a"))
    await asyncio.sleep(LASTING / 3)
    fleet.failure = None
    assert (await held)["ok"]


async def test_who_waits_for_what_may_pass_by_itself_hears_not_yet(
    router: Router, fleet: TestFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold, "DEFAULT", LASTING + 2.0)
    fleet.add("ada", "tok-a")
    fleet.failure = "no node takes the pod"
    client = await Client.open(router)
    assert (await client.hello("tok-a"))["error"]["details"]["reason"] == "startup-sidecars"


async def test_connection_limit(router: Router, fleet: TestFleet) -> None:
    from tenant_router.fleet import Limits

    fleet.add("ada", "tok-a", limits=Limits(connections=2))
    clients = [await Client.open(router) for _ in range(3)]
    assert (await clients[0].hello("tok-a"))["ok"]
    assert (await clients[1].hello("tok-a"))["ok"]
    assert (await clients[2].hello("tok-a"))["error"]["details"]["reason"] == "too-many-connections"
    await clients[0].ws.close()
    async with asyncio.timeout(5):
        while router.live.count("ada") > 1:
            await asyncio.sleep(0.01)
    late = await Client.open(router)
    assert (await late.hello("tok-a"))["ok"]


async def test_first_request_must_be_connect(router: Router, fleet: TestFleet) -> None:
    client = await Client.open(router)
    answer = await client.call("health")
    assert answer["error"]["message"] == "invalid handshake: first request must be connect"
    assert (await client.closed())[0] == 1008


async def test_first_frame_over_64_kib(router: Router, fleet: TestFleet) -> None:
    client = await Client.open(router)
    await client.ws.send("x" * 70_000)
    assert (await client.closed())[0] == 1009


async def test_binary_connect_is_accepted(router: Router, fleet: TestFleet) -> None:
    import json

    from router_world import PARAMS

    fleet.add("ada", "tok-a")
    client = await Client.open(router)
    frame = {"type": "req", "id": "c1", "method": "connect", "params": {**PARAMS, "auth": {"token": "tok-a"}}}
    await client.ws.send(json.dumps(frame).encode())
    assert (await client.recv())["ok"]


async def test_gateway_that_never_comes_up(router: Router, fleet: TestFleet) -> None:
    """A probe hears "not yet" within its 3 s, and the wake is given up by its own timeout; the next one starts anew."""
    fleet.add("ada", "tok-a", wake_timeout=1.0)
    fleet.never_listens = True
    client = await Client.open(router)
    began = time.monotonic()
    answer = await client.hello(
        "tok-a", client={"id": "openclaw-probe", "version": "1", "platform": "linux", "mode": "probe"}
    )
    assert time.monotonic() - began < 3.5
    assert answer["error"]["details"]["reason"] == "startup-sidecars"
    assert answer["error"]["retryAfterMs"] == 500
    assert await client.closed() == (1013, "gateway starting")
    assert fleet.given_up
    fleet.never_listens = False
    client = await Client.open(router)
    assert (await client.hello("tok-a"))["ok"]


async def test_gateway_that_is_still_starting_is_asked_again(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    client = await Client.open(router)
    assert (await client.hello("tok-a"))["ok"]
    fleet.gateways["ada"].starting = True
    late = await Client.open(router)
    hello = asyncio.create_task(late.hello("tok-a"))
    await asyncio.sleep(0.3)
    assert not hello.done()
    fleet.gateways["ada"].starting = False
    assert (await hello)["ok"]


async def test_dead_address_is_woken_anew(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    client = await Client.open(router)
    await client.hello("tok-a")
    await fleet.gateways["ada"].stop()  # the fleet does not know yet
    late = await Client.open(router)
    assert (await late.hello("tok-a"))["ok"]
    assert fleet.starts["ada"] == 2
