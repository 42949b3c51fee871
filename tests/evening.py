"""An evening with a real client, on one machine and on a cluster: something is said, the gateway is put to sleep behind the client's
back, a minute later something more is said. Nothing on the screen may tell that it slept, and what was said before is still there."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Protocol

from browser.chromium import Page
from browser.control_ui import COMPOSER, login, say, times
from clients.tui import Tui
from deadlines import eventually

ARTIFACTS = Path(__file__).parent / "artifacts"
TURN = 200.0
"""Seconds for a turn with a wake of upstream's runtime before it, on a machine with more to do."""
SOON = 90.0
"""Seconds for what needs no model and no wake, on such a machine."""
PATIENCE = 62.0
"""Seconds of sleep that are watched: without a tick clients would give up after 60 (openclaw-protocol 3.4)."""
ON_A_TERMINAL = ("disconnect", "reconnect", "event gap", "gateway restarting", "suspend")
IN_A_BROWSER = ("Disconnected", "Reconnecting", "event gap", "Connection lost", "suspended", "restarting")
"""What a client writes when it has noticed."""


class Watched(Protocol):
    """A tenant, as those see it who run the system."""

    async def gone(self) -> bool:
        """Whether it sleeps and no process of its gateway is left."""
        ...

    async def wakes(self) -> int:
        """How often it was woken so far."""
        ...

    async def reason(self) -> str:
        """Why it sleeps, in the system's own words."""
        ...


async def at_a_terminal(ui: Tui, tenant: Watched, kept: str) -> None:
    """Spend an evening with upstream's TUI, on a tenant that nobody has woken before; its last screen is kept under this name."""
    await ui.shows("connected | idle", TURN)
    ui.seen.clear()  # before the first connection it says "disconnected"
    await ui.say("good evening")
    await ui.shows("You said: good evening", TURN)
    await eventually(tenant.gone, TURN, "it sleeps although its TUI is connected")
    assert "1 clients parked" in await tenant.reason()
    assert await tenant.wakes() == 1
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        await ui.screen()
        assert await tenant.gone()
        await asyncio.sleep(1)
    await ui.say("are you still there?")
    await ui.shows("You said: are you still there?", TURN)
    assert "good evening" in await ui.screen()
    assert await tenant.wakes() == 2
    await ui.keep(ARTIFACTS / f"{kept}.txt")
    # The TUI asks for the history of the session that it changes to.
    await ui.say("/session elsewhere")
    await ui.until(lambda screen: "agent:main:elsewhere" in screen and "good evening" not in screen, SOON)
    await ui.say("/session main")
    await ui.shows("You said: good evening", SOON)
    for screen in ui.seen:
        assert not [words for words in ON_A_TERMINAL if words in screen], screen


async def in_a_browser(page: Page, url: str, token: str, tenant: Watched, kept: str) -> None:
    """Spend an evening with upstream's Control UI; screenshots are kept under names that begin so."""
    await login(page, url, token)
    await page.until(COMPOSER, TURN)
    await say(page, "good evening")
    await page.until(f"{times('You said: good evening')} === 1", TURN)
    await eventually(tenant.gone, TURN, "it sleeps although a page is open")
    seen, wakes, sent = [], await tenant.wakes(), len(page.frames_sent)
    # A poll that comes for the first time while parked wakes once, and is known from then on; so does a late refresh.
    since = time.monotonic()
    deadline = since + PATIENCE + TURN
    while (now := time.monotonic()) - since < PATIENCE:
        woken = await tenant.wakes() - wakes
        assert now < deadline, (
            f"woken {woken} times although nobody asked for anything; the page asked {asked(page, sent)}"
        )
        if not await tenant.gone():
            since = now
        seen.append(await page.text())
        await asyncio.sleep(1)
    assert await tenant.wakes() <= wakes + 2
    await page.screenshot(ARTIFACTS / f"{kept}-asleep.png")
    await say(page, "are you still there?")
    await page.until(f"{times('You said: are you still there?')} === 1", TURN)
    await page.until(f"{times('You said: good evening')} === 1", 10)
    seen.append(await page.text())
    await page.screenshot(ARTIFACTS / f"{kept}-woken.png")
    for text in seen:
        assert not [words for words in IN_A_BROWSER if words in text], text
    # A page that is loaded anew knows nothing but its token.
    await page.reload()
    for words in ("good evening", "are you still there?"):
        await page.until(f"{COMPOSER} && {times(f'You said: {words}')} === 1", TURN)


def asked(page: Page, first: int) -> Counter[str]:
    """Methods of the requests that a page sent from its frame number `first` on."""
    return Counter(frame.get("method", "") for frame in map(json.loads, page.frames_sent[first:]))
