"""Upstream's terminal UI stays connected for longer than it would wait for a dead gateway, while its gateway is gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from clients.tui import Tui, tui
from deadlines import eventually
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw, pytest.mark.patient]

TURN = 200.0
"""Seconds for a turn with a wake of upstream's runtime before it, on a machine with more to do."""
PATIENCE = 62.0
"""Seconds of sleep that are watched: without a tick the TUI would give up after 60 (openclaw-protocol 3.4)."""
NOTICED = ("disconnect", "reconnect", "event gap", "gateway restarting", "suspend")


@pytest.mark.timeout(600)
async def test_nothing_on_the_screen_says_that_the_gateway_slept(fresh: World) -> None:
    await fresh.add("anna", "native", idle="5s")
    await fresh.add("bert", "openclaw", idle="8s")
    async with fresh.running(), tui(fresh.cli("anna")) as annas, tui(fresh.cli("bert")) as berts:
        await asyncio.gather(an_evening(fresh, annas, "anna"), an_evening(fresh, berts, "bert"))


async def an_evening(world: World, ui: Tui, name: str) -> None:
    await ui.shows("connected | idle", TURN)
    ui.seen.clear()  # before the first connection it says "disconnected"
    await ui.say("good evening")
    await ui.shows("You said: good evening", TURN)

    async def asleep() -> bool:
        return (await world.up.tenant(name))["state"] == "asleep"

    await eventually(asleep, TURN, f"{name} sleeps although its TUI is connected")
    one = await world.up.tenant(name)
    assert (one["connections"], one["parked"], one["wakes"]) == (1, 1, 1)
    assert "1 clients parked" in one["reason"]
    assert not world.gateways(name)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        await ui.screen()
        await asyncio.sleep(1)
    assert await asleep()
    await ui.say("are you still there?")
    await ui.shows("You said: are you still there?", TURN)
    assert "good evening" in await ui.screen()
    assert (await world.up.tenant(name))["wakes"] == 2
    await ui.keep(Path(__file__).parents[1] / "artifacts" / f"tui-slept-{name}.txt")
    for screen in ui.seen:
        assert not [words for words in NOTICED if words in screen], screen
