"""A gateway that never comes up: every kind of client hears of it in its own time, and the next try starts anew.

What each tolerates was measured with unmodified clients: openclaw-protocol.md 4.5.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from clients.node_host import node_host
from clients.npm_clients import NpmClients
from clients.tui import tui
from deadlines import eventually
from e2e_world import World
from frozen import frozen

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
NO_HELLO = "it said no hello within 10 s (wake.timeout)"
SLACK = 60.0
"""Seconds that the client's own start and end may take on a busy machine; none of the waits below is near it."""


async def cli_gives_up_in_its_own_time(world: World, seconds: float) -> None:
    """It hears nothing but "retry shortly", which it does silently until its own deadline."""
    said = await world.cli("bert").call("health", timeout=seconds)
    assert said.code == 1
    assert "timeout" in (said.stdout + said.stderr)
    assert seconds <= said.seconds < seconds + SLACK


async def library_is_held_as_long_as_it_can_be(world: World, npm_clients: NpmClients, home: Path) -> None:
    said = await npm_clients.chat(home, world.up.url, world.tokens["bert"], "hello")
    assert said.chunks == [{"type": "thrown", "text": "WebSocket closed before handshake completed"}]
    assert 59 < said.ended.seconds < 60 + SLACK


async def http_hears_503(world: World) -> None:
    headers = {"Authorization": f"Bearer {world.tokens['bert']}"}
    url = f"http://{world.up.up.listen}/v1/chat/completions"
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SLACK)) as session,
        session.post(url, json={}, headers=headers) as answer,
    ):
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert NO_HELLO in (await answer.json())["error"]["message"]


async def test_every_client_hears_of_it_and_the_next_try_starts_anew(
    fresh: World, npm_clients: NpmClients, tmp_path: Path
) -> None:
    world = fresh
    await world.add("bert", "openclaw", wake="10s")
    async with world.running() as up, tui(world.cli("bert")) as ui, node_host(world.cli("bert")) as node:
        async with frozen(world, "bert") as gateways:
            await asyncio.gather(
                http_hears_503(world),
                cli_gives_up_in_its_own_time(world, 10),
                cli_gives_up_in_its_own_time(world, 30),
                library_is_held_as_long_as_it_can_be(world, npm_clients, tmp_path),
            )
            # Those that stay are told to try again, and do: the TUI shows it, the node host does so silently.
            await ui.shows("gateway starting", SLACK)
            await ui.keep(ARTIFACTS / "never-up" / "tui.txt")
            assert node.process.returncode is None
            assert len(gateways) > 1  # each try had a new process
            assert (await up.tenant("bert"))["wakes"] >= len(gateways)
            assert NO_HELLO in str(await world.command("why", "bert"))

        # What kept it from starting has gone: nobody needs to be told.
        template = world.directory / "template-openclaw.yaml"
        template.write_text(template.read_text().replace("timeout: 10s", "timeout: 120s"))
        await ui.shows("connected | idle", 2 * SLACK)
        await node.says("device pairing required", SLACK)
        started = time.monotonic()
        assert (await world.cli("bert").call("health")).ok()
        assert time.monotonic() - started < SLACK
        await eventually(lambda: len(world.gateways("bert")) == 1, 10)
