"""Upstream's node host: `openclaw node run`, a machine that lends its commands to a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from clients.openclaw_cli import OpenClawCli
from clients.running import Running, running

NAME = "workshop"
"""What it is called at the gateway."""
COMMANDS = "system.which"
"""What it lends; a narrow choice needs no browser, model or terminal on this machine."""


@asynccontextmanager
async def node_host(cli: OpenClawCli) -> AsyncIterator[Running]:
    """Run it while the block runs."""
    host, _, port = cli.url.removeprefix("ws://").rpartition(":")
    argv, env = cli.program(
        "node", "run", "--host", host, "--port", port, "--display-name", NAME, "--commands", COMMANDS
    )
    async with running(argv, env, cli.home) as node:
        yield node
