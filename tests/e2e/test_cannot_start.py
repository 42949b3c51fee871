"""A key that is missing: clients say so in their own time instead of waiting for nothing, and are in once it is there."""

from __future__ import annotations

import pytest

from clients.tui import tui
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

WORDS = "the gateway can't be started"
SLACK = 60.0
"""Seconds for a client's own start on a busy machine."""
AGAIN = 30.0
"""Seconds at most between two tries of upstream's client (openclaw-protocol 3.4)."""


async def test_clients_say_what_is_missing_and_come_in_by_themselves_once_it_is_there(fresh: World) -> None:
    world = fresh
    await world.add("anna", "native")
    file = world.directory / "anna.yaml"
    whole = file.read_text()
    file.write_text(whole.replace("LLM_KEY:", "ANOTHER_KEY:"))
    async with world.running(), tui(world.cli("anna")) as ui:
        said = await world.cli("anna").call("health")
        assert said.code == 1
        assert WORDS in said.stdout + said.stderr
        assert "LLM_KEY" in said.stdout + said.stderr
        assert "timeout" not in said.stdout + said.stderr
        await ui.shows(WORDS, SLACK)
        file.write_text(whole)
        await ui.shows("connected | idle", AGAIN + SLACK)
        assert (await world.cli("anna").call("health")).ok()
