"""The real Control UI in a real browser: loads from the router, wakes its tenant when it is told the token, chats."""

from __future__ import annotations

import pytest

from browser.chromium import Page
from browser.conftest import served
from browser.control_ui import ARTIFACTS, COMPOSER, LOGIN, complaints, login, say, times
from deadlines import eventually
from e2e_world import World

pytestmark = pytest.mark.openclaw

WAKE = 60.0
"""Seconds until the chat may be used; upstream's gateway takes a quarter of that here."""
runtimes = pytest.mark.parametrize("runtime", ["native", "openclaw"])
QUESTION = f"HOLD one two three {' '.join(f'word{number}' for number in range(60))} seven eight"
"""The stand-in model answers half of it and waits. Long, because a gateway passes on what comes in pieces of 150 ms."""
NO_WEBSOCKET = "window.WebSocket = class extends EventTarget { send() {} close() {} };"
"""A WebSocket that never gets anywhere."""


def configured(page: Page) -> list[int]:
    """How its requests for its configuration were answered."""
    return [one["status"] for one in page.responses if one["url"].endswith("/control-ui-config.json")]


async def test_page_loads_and_nobody_wakes(page: Page, world: World) -> None:
    await world.add("anna", "openclaw")
    async with served(world) as url:
        await page.goto(f"{url}/chat")
        await page.until(LOGIN, 60)
        # The service worker and what loads after the first paint too.
        await page.until("navigator.serviceWorker.controller !== null || performance.now() > 5000", 10)
        await page.screenshot(ARTIFACTS / "login.png")
        assert "expects its token" in await page.text()
        assert (await world.up.tenant("anna"))["state"] == "asleep"
        assert not world.gateways("anna")
        assert not [one["url"] for one in page.responses if one["status"] >= 400]
        assert not complaints(page)


async def test_wrong_token_is_told_and_wakes_nobody(page: Page, world: World) -> None:
    await world.add("anna", "native")
    async with served(world) as url:
        await login(page, url, "not-the-token")
        await page.until("/mismatch|did not match|does not match/i.test(seen(document.body))", 30)
        await page.screenshot(ARTIFACTS / "wrong-token.png")
        assert (await world.up.tenant("anna"))["state"] == "asleep"


@runtimes
async def test_chat_streams_and_the_token_stays(page: Page, world: World, runtime: str) -> None:
    await world.add("anna", runtime)
    async with served(world) as url:
        await login(page, url, world.tokens["anna"])
        await page.until(COMPOSER, WAKE)
        assert (await world.up.tenant("anna"))["state"] == "awake"

        await say(page, QUESTION)
        # The page writes "You said:" over the user's own words too, so count: once asked, and half an answer.
        await page.until(f"{times('one two three')} === 2", WAKE)
        assert await page.until(f"{times('seven eight')} === 1", 5)  # the model holds the rest back
        await page.screenshot(ARTIFACTS / f"{runtime}-streaming.png")
        world.llm.release()
        await page.until(f"{times('seven eight')} === 2", 30)
        await page.screenshot(ARTIFACTS / f"{runtime}-answered.png")

        await page.reload()
        await page.until(f"{COMPOSER} && {times('seven eight')} === 2", WAKE)
        assert "expects its token" not in await page.text()
        await page.screenshot(ARTIFACTS / f"{runtime}-reloaded.png")
        assert "Refresh required" not in await page.text()
        assert await page.until("!pick('[role=alert], [class*=toast], .danger')", 1)
        assert not complaints(page)


@runtimes
async def test_stored_token_wakes_only_by_its_websocket(page: Page, world: World, runtime: str) -> None:
    """With the token in the URL fragment, as upstream's own links have it; the page's configuration comes at once."""
    await world.add("anna", runtime)
    async with served(world) as url:
        await page.goto(f"{url}/#token={world.tokens['anna']}")
        await page.until(COMPOSER, WAKE)
        assert configured(page)[0] == 200  # asleep or waking: the router's
        assert "token=" not in await page.evaluate("location.href")

        # A page with a token that never opens its WebSocket wakes nobody.
        await page.goto("about:blank")
        await world.asleep("anna")
        page.responses.clear()
        await page.command("Page.addScriptToEvaluateOnNewDocument", source=NO_WEBSOCKET)
        await page.goto(f"{url}/chat")
        await eventually(lambda: configured(page) == [200], 30, "the page is configured")
        await page.until("performance.now() > 3000", 20)
        await page.screenshot(ARTIFACTS / f"{runtime}-stored-token.png")
        assert (await world.up.tenant("anna"))["state"] == "asleep"
