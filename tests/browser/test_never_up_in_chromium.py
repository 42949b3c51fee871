"""The Control UI in front of a gateway that never comes up: told to try again, it does, and is there when the gateway is."""

from __future__ import annotations

import pytest

from browser.chromium import Page
from browser.conftest import served
from browser.control_ui import ARTIFACTS, COMPOSER, login, times
from deadlines import eventually
from e2e_world import World
from frozen import frozen

pytestmark = pytest.mark.openclaw

WAIT = 150.0
"""Seconds for a start of upstream's gateway on a machine that does much else."""


@pytest.mark.timeout(600)
async def test_page_tries_again_until_it_may(page: Page, world: World) -> None:
    await world.add("anna", "openclaw", wake="10s")
    async with served(world) as url:
        async with frozen(world, "anna") as gateways:
            await login(page, url, world.tokens["anna"])
            # The page waits 15 s for a hello; the router answers before that, and the page comes again.
            await eventually(lambda: sum("startup-sidecars" in one for one in page.frames_received) >= 2, WAIT)
            await page.until(times("Gateway starting"), WAIT)
            await page.screenshot(ARTIFACTS / "never-up" / "control-ui.png")
            assert not await page.evaluate("/mismatch|did not match|unauthorized/i.test(document.body.innerText)")
            assert len(gateways) > 1  # each try had a new process
        template = world.directory / "template-openclaw.yaml"
        template.write_text(template.read_text().replace("timeout: 10s", "timeout: 150s"))
        await page.until(COMPOSER, WAIT)
        assert (await world.up.tenant("anna"))["state"] == "awake"


@pytest.mark.timeout(300)
async def test_page_keeps_under_raw_error_what_only_a_person_can_mend_and_is_there_once_it_is(
    page: Page, world: World
) -> None:
    await world.add("anna", "native")
    file = world.directory / "anna.yaml"
    whole = file.read_text()
    file.write_text(whole.replace("LLM_KEY:", "ANOTHER_KEY:"))
    async with served(world) as url:
        await login(page, url, world.tokens["anna"])
        await page.until(times("the gateway can't be started"), WAIT)
        await page.screenshot(ARTIFACTS / "never-up" / "control-ui-cannot-start.png")
        file.write_text(whole)
        await page.until(COMPOSER, WAIT)
