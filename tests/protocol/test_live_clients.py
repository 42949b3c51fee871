"""Upstream's own clients, unmodified, against our server code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import subprocess
from collections.abc import AsyncIterator, Callable

import pytest
from minimal_gateway import MinimalGateway, minimal_gateway

from clients.openclaw_cli import OpenClawCli
from deadlines import eventually
from openclaw_protocol import rejections as r

pytestmark = pytest.mark.openclaw

TOKEN = "the-token"
MakeCli = Callable[[str, str], OpenClawCli]


@pytest.fixture
async def gateway() -> AsyncIterator[MinimalGateway]:
    async with minimal_gateway(TOKEN) as gateway:
        yield gateway


async def test_the_cli_calls_a_method(gateway: MinimalGateway, openclaw_cli: MakeCli) -> None:
    health = ("gateway", "call", "health", "--url", gateway.url, "--token", TOKEN, "--json")
    finished = await openclaw_cli(gateway.url, TOKEN).run(*health)
    assert finished.ok().json["from"] == "the smallest gateway"
    [connect] = gateway.connects
    assert (connect.params.client.id, connect.params.client.mode, connect.params.token) == ("cli", "cli", TOKEN)
    assert connect.params.scopes == ("operator.read",)


async def test_the_cli_understands_a_refusal_and_gives_up(gateway: MinimalGateway, openclaw_cli: MakeCli) -> None:
    health = ("gateway", "call", "health", "--url", gateway.url, "--token", "wrong", "--json")
    finished = await openclaw_cli(gateway.url, "wrong").run(*health)
    assert finished.code != 0
    assert finished.json["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    assert "set gateway.remote.token to match gateway.auth.token" in finished.json["error"]["message"]
    [rejection] = gateway.rejections
    assert isinstance(rejection, r.TokenMismatch)


async def test_the_cli_waits_while_the_gateway_starts(gateway: MinimalGateway, openclaw_cli: MakeCli) -> None:
    gateway.starting = 3
    health = ("gateway", "call", "health", "--url", gateway.url, "--token", TOKEN, "--json", "--timeout", "60000")
    finished = await openclaw_cli(gateway.url, TOKEN).run(*health)
    assert finished.ok().json["ok"] is True
    assert "starting" not in finished.stdout + finished.stderr
    assert [type(rejection) for rejection in gateway.rejections] == [r.GatewayStarting] * 3


async def test_the_tui_proves_its_device(gateway: MinimalGateway, openclaw_cli: MakeCli) -> None:
    async with tui(openclaw_cli(gateway.url, TOKEN), gateway.url):
        await eventually(lambda: gateway.connects or gateway.rejections, 60, "the TUI's connect")
    assert not gateway.rejections
    params = gateway.connects[0].params
    assert (params.client.id, params.client.mode, params.token) == ("openclaw-tui", "ui", TOKEN)
    # The server code has checked the signature: there is a device, and it was not refused.
    assert params.device is not None and params.device.nonce in gateway.nonces


@contextlib.asynccontextmanager
async def tui(cli: OpenClawCli, url: str) -> AsyncIterator[None]:
    """The terminal UI, which insists on a terminal."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(cli.home),
        "OPENCLAW_STATE_DIR": str(cli.home),
        "OPENCLAW_CONFIG_PATH": str(cli.home / "openclaw.json"),
        "TERM": "xterm-256color",
    }
    argv, env = cli.runtime.cli(["tui", "--url", url, "--token", TOKEN], env)
    screen, terminal = pty.openpty()
    loop = asyncio.get_running_loop()
    try:
        process = subprocess.Popen(
            argv, env=env, cwd=cli.home, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
        )
        try:
            # Somebody must look at the screen, or the terminal fills up and the program stands still.
            loop.add_reader(screen, os.read, screen, 65_536)
            yield
        finally:
            loop.remove_reader(screen)
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
    finally:
        os.close(terminal)
        os.close(screen)
