"""Tenants are put to sleep in conversation with all routers, and woken for their timers."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from operator_world import SOON, World, eventually, template, tenant
from scripted_router import ScriptedRouter

from tenant_operator.times import parsed


@pytest.fixture
async def routers() -> AsyncIterator[tuple[ScriptedRouter, ScriptedRouter]]:
    async with ScriptedRouter() as one, ScriptedRouter() as two:
        yield one, two


async def awake(here: World, routers: tuple[ScriptedRouter, ScriptedRouter], **spec: Any) -> dict[str, Any]:
    here.start(",".join(router.name for router in routers))
    here.apply(template(idle={"timeout": "1s"}), tenant("ann", **spec))
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    return await here.play_kubelet("ann")


async def test_idle_everywhere_goes_to_sleep_and_says_so(
    here: World, routers: tuple[ScriptedRouter, ScriptedRouter]
) -> None:
    one, two = routers
    due = time.time() + 3600
    for router in routers:
        router.see(f"{here.namespace}/ann", connections=2, last_request=time.time() - 600)
        router.answers["prepare"]["nextWakeAtMs"] = int(due * 1000)
        router.answers["park"] = {"parked": 2, "closed": 0}
    pod = await awake(here, routers)
    await eventually(lambda: here.replicas("ann") == 0, SOON)
    here.pod_is_gone(pod)
    status = await here.phase("ann", "Asleep")
    message = await here.said("ann", "Idle", "True", "IdleTimeout")
    assert message.startswith("asleep since ") and "4 clients parked" in message and "next timer" in message
    assert parsed(status["nextWakeTime"]) == int(due)
    assert time.time() - 700 < parsed(status["lastActiveTime"]) < time.time() - 500
    assert one.steps[0] == two.steps[0] == "fence" and one.steps[-1] == two.steps[-1] == "park"
    assert set(one.uids) == {pod["metadata"]["uid"]}
    events = await eventually(lambda: [one for one in here.items("events") if one["reason"] == "Asleep"], SOON)
    # Neither the time of day nor who was there: another sleep is the same Event once more.
    assert events and re.fullmatch(r"idle \d+ s", events[0]["message"])


async def test_busy_gateway_stays_awake_and_says_why(
    here: World, routers: tuple[ScriptedRouter, ScriptedRouter]
) -> None:
    for router in routers:
        router.answers["prepare"] = {"status": "busy", "reason": "1 chat run", "retryAfterMs": 300}
    await awake(here, routers)
    assert "1 chat run" in await here.said("ann", "Idle", "False", "Busy")
    assert here.replicas("ann") == 1
    for router in routers:
        router.answers["prepare"] = {"status": "ready"}
    await eventually(lambda: here.replicas("ann") == 0, SOON)


async def test_unsure_stays_awake(here: World, routers: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    one, two = routers
    await two.stop()
    await awake(here, routers)
    await here.phase("ann", "Awake")
    await eventually(lambda: "nobody is put to sleep" in here.running[0].log.read_text(), SOON)
    assert (here.replicas("ann"), one.steps) == (1, [])
    await two.__aenter__()


async def test_suspended_is_asked_first(here: World, routers: tuple[ScriptedRouter, ScriptedRouter]) -> None:
    for router in routers:
        router.see(f"{here.namespace}/ann", connections=1, opening=1)
    await awake(here, routers)
    await here.phase("ann", "Awake")
    here.patch("tenants", "ann", {"spec": {"power": "Suspended"}})
    await eventually(lambda: here.replicas("ann") == 0, SOON)
    assert routers[0].steps == ["fence", "prepare", "park"] or routers[1].steps == ["fence", "prepare", "park"]


async def test_timer_wakes_ahead_of_its_time_also_one_missed_by_a_down_operator(
    here: World, routers: tuple[ScriptedRouter, ScriptedRouter]
) -> None:
    for router in routers:
        router.answers["prepare"]["nextWakeAtMs"] = int((time.time() + 45) * 1000)
    pod = await awake(here, routers)
    await eventually(lambda: here.replicas("ann") == 0, SOON)
    here.pod_is_gone(pod)
    status = await here.phase("ann", "Asleep")
    assert here.running[0].stop() == 0
    due = parsed(status["nextWakeTime"])
    # While it is down, the time comes.
    await eventually(lambda: time.time() > due, SOON)
    assert here.replicas("ann") == 0
    here.start(",".join(router.name for router in routers))
    await eventually(lambda: here.replicas("ann") == 1, SOON)
    for router in routers:
        router.answers["prepare"]["nextWakeAtMs"] = None
    pod = await here.play_kubelet("ann")
    await here.said("ann", "Awake", "True", "Timer")
    await eventually(lambda: here.replicas("ann") == 0, SOON)
    here.pod_is_gone(pod)
    status = await here.phase("ann", "Asleep")
    assert "nextWakeTime" not in status
    assert status["usage"]["wakes"] == 2


async def test_wake_that_crossed_a_sleep_is_done_again(
    here: World, routers: tuple[ScriptedRouter, ScriptedRouter]
) -> None:
    here.start(",".join(router.name for router in routers))
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    routers[1].see(f"{here.namespace}/ann", waking=True)
    await eventually(lambda: here.replicas("ann") == 1, SOON)
