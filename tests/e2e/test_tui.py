"""Upstream's terminal UI, unmodified, in a terminal of its own: a person's hour with it, from asleep, on both runtimes."""

from __future__ import annotations

from pathlib import Path

import pytest

from clients.tui import tui
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
TURN = 120.0
"""Seconds for a turn, the wake before it included."""
SOON = 90.0
"""Seconds for what needs no model."""


@pytest.mark.parametrize("name", ["anna", "bert"], ids=["native", "openclaw"])
async def test_send_stream_abort_switch_session_and_history(world: World, name: str) -> None:
    await world.asleep(name)
    client = world.cli(name)
    kept = ARTIFACTS / f"tui-{'native' if name == 'anna' else 'openclaw'}"
    async with tui(client) as ui:
        await ui.shows("connected | idle", TURN)
        assert (await world.up.tenant(name))["state"] == "awake"
        await ui.say("/session terminal")
        await ui.shows("session agent:main:terminal", SOON)
        await ui.say("good morning")
        await ui.shows("You said: good morning", TURN)

        await ui.say(f"HOLD count {' '.join(f'item{number}' for number in range(50))}")
        await ui.shows("You said: HOLD count item0 item1", TURN)
        await ui.shows("streaming", SOON)
        half = await ui.screen()
        assert half.count("item49") == 1  # in the question; the model holds the answer's end back
        await ui.keep(kept / "streaming.txt")
        world.llm.release()
        await ui.until(lambda screen: screen.count("item49") == 2 and "| idle" in screen, TURN)
        await ui.keep(kept / "answered.txt")

        await ui.say("WORDS:300 SLOW:200")
        await ui.shows("word3", TURN)
        await ui.press("Escape")
        await ui.shows("aborted", SOON)
        await ui.keep(kept / "aborted.txt")
        assert "word299" not in await ui.screen()

        await ui.say("/session second")
        await ui.until(lambda screen: "session agent:main:second" in screen and "good morning" not in screen, SOON)
        await ui.say("something else")
        await ui.shows("You said: something else", TURN)
        await ui.keep(kept / "second-session.txt")
        await ui.say("/session terminal")
        await ui.until(lambda screen: "agent:main:terminal" in screen and "something else" not in screen, SOON)
        await ui.shows("item49", SOON)
        await ui.say("/exit")
        await ui.ended(SOON)

    # Another start of it, on another day: what was said is there.
    async with tui(client, "--session", "second") as ui:
        await ui.shows("You said: something else", TURN)
        await ui.keep(kept / "history.txt")
