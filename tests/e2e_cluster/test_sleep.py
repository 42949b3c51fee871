"""Upstream's TUI and Control UI, connected through the routers' Service, don't notice that their tenant's pod is gone."""

from __future__ import annotations

import asyncio

import pytest

import evening
from browser.chromium import Page
from clients.tap import tap
from clients.tui import tui
from e2e_cluster import model
from e2e_cluster.release import MakeCli, Release, Watched

pytestmark = [pytest.mark.openclaw, pytest.mark.patient]

RUNTIMES = ("native", "openclaw")
NOT_YET = 1013


async def made(release: Release, model_address: str, kind: str, runtime: str, idle: str) -> str:
    """A provisioned tenant that falls asleep after `idle`; its name."""
    name = f"{kind}-{runtime}"
    template = release.template(name, runtime, model.config(model_address), idle={"timeout": idle})
    release.apply(template, release.tenant(name, name))
    await release.provisioned(name)
    return name


@pytest.mark.timeout(600)
async def test_nothing_on_a_terminal_says_that_the_pod_was_gone(
    release: Release, cli: MakeCli, model_address: str
) -> None:
    async def spend(runtime: str) -> None:
        name = await made(release, model_address, "terminal", runtime, "8s")
        async with tap(release.url) as way, tui(cli(name, way.url)) as ui:
            await evening.at_a_terminal(ui, Watched(release, name), f"tui-slept-{runtime}-cluster")
            # While it wakes for the first time a client may be told "not yet"; from its hello on it had one connection.
            assert {seen.close_code for seen in way.seen[:-1]} <= {NOT_YET}

    await asyncio.gather(*map(spend, RUNTIMES))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_nothing_on_the_page_says_that_the_pod_was_gone(
    release: Release, page: Page, model_address: str, runtime: str
) -> None:
    # Upstream's page asks again for what its own questions changed, a while later on a busy machine.
    idle = "8s" if runtime == "native" else "30s"
    name = await made(release, model_address, "page", runtime, idle)
    async with tap(release.url) as way:
        await evening.in_a_browser(
            page, way.page, release.tokens[name], Watched(release, name), f"control-ui-{runtime}-cluster"
        )
