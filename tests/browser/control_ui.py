"""What a person does with the Control UI and looks for on it."""

from __future__ import annotations

import re
from pathlib import Path

from browser.chromium import Page

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
LOGIN = "pick('input[type=password]')"
COMPOSER = "(() => { const one = pick('textarea'); return one && !one.disabled; })()"
EXPECTED = re.compile(r"/api/users/[^/]+/avatar|/__openclaw__/workspace-icon/")
"""What the page's console complains of with an untouched gateway too: pictures that are not there."""


def times(words: str) -> str:
    """JavaScript for how often the reader sees these words."""
    return f"(seen(document.body).split({words!r}).length - 1)"


def complaints(page: Page) -> list[str]:
    """Errors of the page: policy violations, failed requests, exceptions."""
    return [line for line in page.console if line.startswith(("error", "exception")) and not EXPECTED.search(line)]


async def login(page: Page, url: str, token: str) -> None:
    """What a person does: open the page, paste the token, press Enter."""
    await page.goto(f"{url}/")
    await page.until(f"{LOGIN} && seen(document.body).includes('Connect')", 60)
    await page.click("input[type=password]")
    await page.type(token)
    await page.press("Enter", 13)


async def say(page: Page, text: str) -> None:
    await page.click("textarea")
    await page.type(text)
    await page.press("Enter", 13)
