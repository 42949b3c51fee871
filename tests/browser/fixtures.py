"""Pytest's way to a browser, for every area that shows something to a person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apt import NotInstalled, install
from browser.chromium import ChromiumMissing, Page, chromium, chromium_program
from terminal import terminal


@pytest.fixture(scope="session")
def browser_program(request: pytest.FixtureRequest) -> str:
    """Chromium, installed from Debian's packages when it is missing and we may."""
    with contextlib.suppress(ChromiumMissing):
        return chromium_program()
    write_line, uncaptured = terminal(request.config)
    with uncaptured():
        try:
            asyncio.run(install("chromium", lambda line: write_line(f"\n  {line}")))
        except NotInstalled as missing:
            pytest.fail(f"{missing}\nOr leave these tests out with --ignore tests/browser", pytrace=False)
    return chromium_program()


@pytest.fixture
async def page(browser_program: str, tmp_path: Path) -> AsyncIterator[Page]:
    """A browser that has never been here."""
    async with chromium(tmp_path / "profile") as page:
        yield page
