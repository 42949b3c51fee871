"""The Control UI's other pages on the native gateway: sessions, agent files, automations, logs; nothing complains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from browser.chromium import Page
from browser.conftest import served
from browser.control_ui import ARTIFACTS, COMPOSER, complaints, login, say, times
from e2e_world import World

pytestmark = pytest.mark.openclaw

WAIT = 120.0
"""Seconds for a page to show something; it takes two where the machine has nothing else to do."""
TROUBLE = "pick('[role=alert], [class*=toast], .danger, .callout--danger')"


def refusals(page: Page) -> list[Any]:
    """Calls of the page that its gateway answered with an error, after the connect without a token that it begins with."""
    asked = {one["id"]: one["method"] for one in map(json.loads, page.frames_sent) if one.get("type") == "req"}
    told = [json.loads(frame) for frame in page.frames_received]
    return [
        (asked.get(one["id"]), one["error"])
        for one in told
        if one.get("type") == "res" and not one["ok"] and asked.get(one["id"]) != "connect"
    ]


@pytest.mark.timeout(600)
async def test_sessions_files_automations_and_logs(page: Page, world: World) -> None:
    await world.add("anna", "native")
    async with served(world) as url:
        async with world.client("anna") as client:
            assert [piece async for piece in client.chat("about the garden", "agent:main:garden")]
            await client.call(
                "cron.add",
                name="Water the plants",
                schedule={"kind": "every", "everyMs": 86_400_000},
                sessionTarget="main",
                wakeMode="now",
                payload={"kind": "systemEvent", "text": "water them"},
            )
        await login(page, url, world.tokens["anna"])
        await page.until(COMPOSER, WAIT)
        await say(page, "good morning")
        await page.until(f"{times('You said: good morning')} === 1", WAIT)
        await shows(page, ARTIFACTS / "native-page-chat.png")

        await page.goto(f"{url}/sessions")
        await page.until(f"{times('agent:main:main')} && {times('agent:main:garden')}", WAIT)
        await shows(page, ARTIFACTS / "native-page-sessions.png")

        await page.goto(f"{url}/settings/agents")
        await page.click("button, a, [role=tab]", WAIT, words="Files")
        await page.until(f"{times('Core Files')} && {times('What is not written down is forgotten.')}", WAIT)
        await shows(page, ARTIFACTS / "native-page-files.png")

        await page.goto(f"{url}/cron")
        await page.until(times("Water the plants"), WAIT)
        await shows(page, ARTIFACTS / "native-page-automations.png")

        await page.goto(f"{url}/logs")
        await page.until(times("listening on 127.0.0.1"), WAIT)
        await shows(page, ARTIFACTS / "native-page-logs.png")


async def shows(page: Page, picture: Path) -> None:
    """Keep a picture of the page, and see that neither it nor its gateway complains."""
    await page.screenshot(picture)
    assert await page.until(f"!{TROUBLE}", 1)
    assert refusals(page) == []
    assert complaints(page) == []
