"""Upstream's terminal UI stays connected for longer than it would wait for a dead gateway, while its gateway is gone."""

from __future__ import annotations

import asyncio

import pytest

import evening
from clients.tui import tui
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw, pytest.mark.patient]


@pytest.mark.timeout(600)
async def test_nothing_on_the_screen_says_that_the_gateway_slept(fresh: World) -> None:
    await fresh.add("anna", "native", idle="5s")
    await fresh.add("bert", "openclaw", idle="8s")
    async with fresh.running(), tui(fresh.cli("anna")) as annas, tui(fresh.cli("bert")) as berts:
        await asyncio.gather(
            evening.at_a_terminal(annas, fresh.watched("anna"), "tui-slept-native"),
            evening.at_a_terminal(berts, fresh.watched("bert"), "tui-slept-openclaw"),
        )
