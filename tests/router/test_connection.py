"""The way of a connection, over real sockets."""

from __future__ import annotations

import asyncio

from router_world import Client, TestFleet

from tenant_router.server import Router


async def test_sleeping_tenant_is_woken_and_answers(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    client = await Client.open(router)
    hello = await client.hello("tok-a")
    assert hello["id"] == "c1"
    assert hello["ok"] is True
    assert hello["payload"]["snapshot"]["authMode"] == "token"
    assert "secret-device-token" not in str(hello)
    assert (await client.call("echo", x=1))["payload"] == {"x": 1}
    assert fleet.starts["ada"] == 1


async def test_gateway_sees_identity_and_no_token(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    forged = {"X-Forwarded-For": "127.0.0.1", "x-openclaw-tenant": "user-of-bob", "X-OpenClaw-Scopes": "operator.admin"}
    client = await Client.open(router, additional_headers=forged, origin="https://ui.example")
    await client.hello("tok-a")
    (headers,) = fleet.gateways["ada"].headers
    assert headers["x-openclaw-tenant"] == "user-of-ada"
    assert headers["x-openclaw-scopes"] == "operator.read"
    assert headers["x-forwarded-for"] == "192.0.2.1"
    assert headers["origin"] == "https://ui.example"
    (connect,) = fleet.gateways["ada"].connects
    assert "auth" not in connect["params"]
    assert "tok-a" not in str(connect) + str(headers)


async def test_unknown_token_is_refused_in_upstreams_words_and_wakes_nobody(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    client = await Client.open(router)
    answer = await client.hello("tok-wrong")
    assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    code, reason = await client.closed()
    assert code == 1008
    assert reason is not None
    assert reason.startswith("unauthorized: gateway token mismatch")
    assert not fleet.starts


async def test_fifty_clients_of_one_sleeper_start_one_gateway(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    fleet.delay = 0.3

    async def one(i: int) -> None:
        client = await Client.open(router)
        assert (await client.hello("tok-a"))["ok"]
        assert (await client.call("echo", i=i))["payload"] == {"i": i}
        await client.ws.close()

    await asyncio.gather(*(one(i) for i in range(50)))
    assert fleet.starts["ada"] == 1


async def test_client_that_leaves_during_the_wake_does_not_cancel_it(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    fleet.delay = 0.5
    client = await Client.open(router)
    hello = asyncio.create_task(client.hello("tok-a"))
    while not fleet.starts["ada"]:
        await asyncio.sleep(0.01)
    hello.cancel()
    client.ws.transport.abort()
    async with asyncio.timeout(5):
        while "ada" not in fleet.addresses:
            await asyncio.sleep(0.01)
    assert fleet.starts["ada"] == 1
    assert router.live.count("ada") == 0


async def test_frames_pipelined_behind_connect_arrive_in_order(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    fleet.delay = 0.2
    client = await Client.open(router)
    hello = asyncio.create_task(client.hello("tok-a"))
    await asyncio.sleep(0)
    for i in range(40):
        await client.ws.send(f'{{"type":"req","id":"{i}","method":"echo","params":{i}}}')
    assert (await hello)["ok"]
    assert [(await client.recv())["payload"] for _ in range(40)] == list(range(40))
