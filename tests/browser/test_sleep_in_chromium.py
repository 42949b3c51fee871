"""The Control UI in a browser stays connected while its gateway sleeps, although the page polls all the time."""

from __future__ import annotations

import pytest

import evening
from browser.chromium import Page
from browser.conftest import served
from e2e_world import World

pytestmark = [pytest.mark.openclaw, pytest.mark.patient]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", ["native", "openclaw"])
async def test_the_page_does_not_notice(page: Page, world: World, runtime: str) -> None:
    # Upstream's page asks again for what its own questions changed, a while later on a busy machine.
    await world.add("anna", runtime, idle="8s" if runtime == "native" else "30s")
    async with served(world) as url:
        await evening.in_a_browser(page, url, world.tokens["anna"], world.watched("anna"), f"control-ui-{runtime}")
