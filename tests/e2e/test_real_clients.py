"""Upstream's own clients, unmodified, through the router, from asleep, against both runtimes."""

from __future__ import annotations

import asyncio

import pytest

from deadlines import eventually
from e2e_world import World
from openclaw_tenancy.demo.client import GatewayClient

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

both = pytest.mark.parametrize("name", ["anna", "bert"], ids=["native", "openclaw"])

WAKE = 60.0
"""Seconds that a client grants a wake; the CLI's own 10 s are less than upstream's gateway takes to start here."""


@both
async def test_gateway_calls_from_asleep(world: World, name: str) -> None:
    await world.asleep(name)
    client = world.cli(name)
    assert (await client.call("health", timeout=WAKE)).ok().json["ok"] is True
    assert (await client.call("status", timeout=WAKE)).ok().json
    sent = await client.call(
        "chat.send",
        {"sessionKey": "agent:main:main", "message": f"I am {name}", "idempotencyKey": f"first-{name}"},
        timeout=WAKE,
    )
    assert sent.ok().json == {"runId": f"first-{name}", "status": "started"}

    async def answered() -> bool:
        history = (await client.call("chat.history", {"sessionKey": "agent:main:main"}, timeout=WAKE)).ok()
        return f"You said: I am {name}" in history.stdout

    await eventually(answered, 60, "the answer is in the history")


@both
async def test_agent_turn_from_asleep(world: World, name: str) -> None:
    await world.asleep(name)
    turn = await world.cli(name).agent(f"hello from {name}")
    assert turn.ok().reply == f"You said: hello from {name}"
    assert world.llm.requests[-1].headers["authorization"] == f"Bearer sk-of-{name}"


async def test_each_token_opens_only_its_own_tenant(world: World) -> None:
    for name, other in (("anna", "bert"), ("bert", "anna")):
        history = await world.cli(name).call("chat.history", {"sessionKey": "agent:main:main"}, timeout=WAKE)
        assert f"from {name}" in history.ok().stdout
        assert f"from {other}" not in history.stdout


async def test_wrong_token_gets_upstreams_own_words_and_wakes_nobody(world: World) -> None:
    await world.asleep("anna")
    before = await world.up.tenants()
    words = "unauthorized: gateway token mismatch (set gateway.remote.token to match gateway.auth.token)"
    refused = await world.cli("anna", token="not-the-token").call("health")
    assert refused.code == 1
    assert refused.json["error"]["message"] == words
    assert refused.json["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    turn = await world.cli("anna", token="not-the-token").agent("let me in")
    assert (turn.code, turn.json["error"]["message"]) == (1, words)
    after = await world.up.tenants()
    assert [one["wakes"] for one in after] == [one["wakes"] for one in before]
    assert world.gateways("anna") == []


@both
async def test_a_turn_streams(world: World, name: str) -> None:
    finished = world.llm.finished
    async with world.client(name) as client:
        pieces = client.chat(f"HOLD WORDS:8 for {name}")
        first = await asyncio.wait_for(anext(pieces), 60)
        assert first.startswith("word0")
        assert world.llm.finished == finished  # the model still holds the second half back
        world.llm.release()
        rest = [piece async for piece in pieces]
    assert (first + "".join(rest)).split() == [f"word{number}" for number in range(8)]


async def test_fifty_clients_of_one_sleeper_start_one_gateway(world: World) -> None:
    await world.asleep("anna")
    wakes = (await world.up.tenant("anna"))["wakes"]

    async def one() -> str:
        async with world.client("anna") as client:
            return str(client.hello["server"]["connId"])

    ids = await asyncio.gather(*(one() for _ in range(50)))
    assert len(set(ids)) == 50
    assert (await world.up.tenant("anna"))["wakes"] == wakes + 1
    assert len(world.gateways("anna")) == 1


async def test_a_client_that_leaves_does_not_cancel_the_wake(world: World) -> None:
    await world.asleep("bert")
    with pytest.raises(TimeoutError):
        async with GatewayClient(world.up.url, world.tokens["bert"], deadline=0.5):
            pytest.fail("upstream's gateway does not start in half a second")

    async def awake() -> bool:
        return bool((await world.up.tenant("bert"))["state"] == "awake")

    await eventually(awake, 60, "bert awake although nobody waits")
