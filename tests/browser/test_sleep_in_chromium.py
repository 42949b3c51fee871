"""The Control UI in a browser stays connected while its gateway sleeps, although the page polls all the time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from browser.chromium import Page
from browser.conftest import served
from browser.test_control_ui_in_chromium import COMPOSER, login, say, times
from deadlines import eventually
from e2e_world import World

pytestmark = [pytest.mark.openclaw, pytest.mark.patient]

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
WAKE = 200.0
PATIENCE = 45.0
"""Seconds of sleep that are watched: each of the page's polls comes at least twice in them."""
NOTICED = ("Disconnected", "Reconnecting", "event gap", "Connection lost", "suspended", "restarting")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", ["native", "openclaw"])
async def test_the_page_does_not_notice(page: Page, world: World, runtime: str) -> None:
    # Upstream's page asks again for what its own questions changed, a while later on a busy machine.
    await world.add("anna", runtime, idle="8s" if runtime == "native" else "30s")
    async with served(world) as url:
        await login(page, url, world.tokens["anna"])
        await page.until(COMPOSER, WAKE)
        await say(page, "good evening")
        await page.until(f"{times('You said: good evening')} === 1", WAKE)

        async def slept() -> bool:
            return (await world.up.tenant("anna"))["state"] == "asleep"

        await eventually(slept, WAKE, "it sleeps although a page is open")
        seen, wakes = [], (await world.up.tenant("anna"))["wakes"]
        # A poll that comes for the first time while parked wakes once, and is known from then on; so does a late refresh.
        end = time.monotonic() + PATIENCE
        asleep = 0
        while time.monotonic() < end or not await slept():
            assert time.monotonic() < end + WAKE
            asleep += await slept()
            seen.append(await page.text())
            await asyncio.sleep(1)
        assert asleep > 5
        assert (await world.up.tenant("anna"))["wakes"] <= wakes + 2
        assert not world.gateways("anna")
        await page.screenshot(ARTIFACTS / f"control-ui-asleep-{runtime}.png")
        await say(page, "are you still there?")
        await page.until(f"{times('You said: are you still there?')} === 1", WAKE)
        await page.until(f"{times('You said: good evening')} === 1", 10)
        seen.append(await page.text())
        await page.screenshot(ARTIFACTS / f"control-ui-woken-{runtime}.png")
        for text in seen:
            assert not [words for words in NOTICED if words in text], text
