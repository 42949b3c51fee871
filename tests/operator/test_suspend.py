"""The conversation, with routers that answer as told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_router import ScriptedRouter

from tenant_operator.idle.routers import Routers, Unsure
from tenant_operator.idle.suspend import Busy, Ready, converse

KEY, UID = "ns/ann", "uid-1"


@pytest.fixture
async def pair() -> AsyncIterator[tuple[ScriptedRouter, ScriptedRouter]]:
    async with ScriptedRouter() as one, ScriptedRouter() as two:
        yield one, two


async def talk(*routers: ScriptedRouter, latest_wake: float = 0.0) -> Ready | Busy:
    asked = Routers(tuple(router.address for router in routers))
    try:
        return await converse(asked, [router.address for router in routers], KEY, UID, latest_wake=latest_wake)
    finally:
        await asked.close()


async def test_all_fence_one_prepares_all_park(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    two.answers["fence"] = {"quiet": True, "busy": None, "connections": 4, "parked": 0, "lastRequest": 0}
    two.answers["prepare"] = {"status": "ready", "reason": None, "retryAfterMs": None, "nextWakeAtMs": 5_000}
    two.answers["park"] = {"parked": 3, "closed": 1}
    assert await talk(one, two) == Ready(parked=3, closed=1, next_wake=5.0)
    assert one.steps == ["fence", "park"]
    assert two.steps == ["fence", "prepare", "park"]
    assert set(one.uids + two.uids) == {UID}


async def test_one_that_is_not_quiet_opens_all(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    one.answers["fence"] = {"quiet": False, "busy": "a message is on its way", "connections": 1}
    answer = await talk(one, two)
    assert isinstance(answer, Busy) and answer.reason == "Active" and "a message is on its way" in answer.message
    assert one.steps == two.steps == ["fence", "open"]


async def test_busy_gateway_opens_all_and_says_when_to_ask_again(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    busy = {"status": "busy", "reason": "1 chat run", "retryAfterMs": 20_000, "nextWakeAtMs": None}
    one.answers["prepare"] = two.answers["prepare"] = busy
    assert await talk(one, two) == Busy("Busy", "its gateway is busy: 1 chat run", 20.0)
    assert one.steps[-1] == two.steps[-1] == "open"


async def test_timer_in_a_moment_is_not_worth_sleeping_for(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    soon = {"status": "ready", "nextWakeAtMs": 9_000}
    one.answers["prepare"] = two.answers["prepare"] = soon
    answer = await talk(one, two, latest_wake=10.0)
    assert isinstance(answer, Busy) and answer.reason == "TimerSoon"
    assert one.steps[-1] == two.steps[-1] == "open"


@pytest.mark.parametrize("step", ["fence", "prepare"])
@pytest.mark.parametrize("code", [404, 409, 500])
async def test_refusal_leaves_it_awake(pair: tuple[ScriptedRouter, ScriptedRouter], step: str, code: int) -> None:
    one, two = pair
    one.codes[step] = two.codes[step] = code
    answer = await talk(one, two)
    assert isinstance(answer, Busy) and answer.reason == "Unsure"
    assert one.steps[-1] == two.steps[-1] == "open"
    assert "park" not in one.steps + two.steps


async def test_router_that_is_gone_leaves_it_awake(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    await two.stop()
    answer = await talk(one, two)
    assert isinstance(answer, Busy) and answer.reason == "Unsure"
    assert one.steps == ["fence", "open"]


async def test_router_that_fails_to_park_does_not_stop_the_sleep(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    one.codes["park"] = 500
    assert isinstance(await talk(one, two), Ready)


async def test_activity_needs_every_replica(pair: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = pair
    asked = Routers((one.address, two.address))
    one.see(KEY, connections=2)
    assert (await asked.activity()).of(KEY).connections == 2
    await two.stop()
    with pytest.raises(Unsure):
        await asked.activity()
    await asked.close()
    nobody = Routers((("no-such-name.invalid", 1),))
    with pytest.raises(Unsure):
        await nobody.activity()
