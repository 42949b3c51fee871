"""Clients beside CLI and TUI, unmodified, from asleep, on both runtimes: the library openclaw-node, and both MCP servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clients.mcp import mcp
from clients.npm_clients import NpmClients
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

SOON = 90.0
"""Seconds for a refusal: a Node process's life on a busy machine, not a hold."""

both = pytest.mark.parametrize("name", ["anna", "bert"], ids=["native", "openclaw"])


@both
async def test_clients_by_others(world: World, npm_clients: NpmClients, tmp_path: Path, name: str) -> None:
    """openclaw-node speaks WebSocket and rejects at any close before hello, so it must be held; openclaw-mcp speaks HTTP."""
    await world.asleep(name)
    seen = await npm_clients.chat(tmp_path, world.up.url, world.tokens[name], "from an app")
    assert seen.ended.ok()
    assert seen.text == "You said: from an app"
    kinds = [chunk["type"] for chunk in seen.chunks]
    assert (kinds[0], kinds[-1]) == ("agent_start", "done")
    assert kinds.count("text") > 1  # it streams

    env = npm_clients.environment(
        tmp_path, OPENCLAW_URL=f"http://{world.up.up.listen}", OPENCLAW_GATEWAY_TOKEN=world.tokens[name]
    )
    async with mcp(npm_clients.mcp, env, npm_clients.root) as server:
        assert server.info["serverInfo"]["name"] == "openclaw-mcp"
        assert {"openclaw_chat", "openclaw_status"} <= await server.tools()
        assert json.loads(await server.call("openclaw_status"))["status"] == "ok"
        assert await server.call("openclaw_chat", message="from an editor") == "You said: from an editor"


async def test_wrong_token_is_told_to_clients_by_others(world: World, npm_clients: NpmClients, tmp_path: Path) -> None:
    await world.asleep("anna")
    refused = await npm_clients.chat(tmp_path, world.up.url, "nobodys", "let me in")
    assert refused.ended.code == 1
    # All that this library ever tells of a refusal, upstream's own included.
    assert refused.chunks[-1] == {"type": "thrown", "text": "WebSocket closed before handshake completed"}
    assert refused.ended.seconds < SOON
    assert world.gateways("anna") == []


@both
async def test_upstreams_own_mcp_server(world: World, name: str) -> None:
    if name == "anna":
        await world.asleep(name)
    client = world.cli(name)
    async with world.client(name) as other:
        assert [piece async for piece in other.chat("for the editor")]
    argv, env = client.program("mcp", "serve")
    async with mcp(argv, env, client.home) as server:
        assert server.info["serverInfo"]["name"] == "openclaw"
        assert {"conversations_list", "messages_read", "events_poll"} <= await server.tools()
        assert "conversations" in await server.call("conversations_list")
        history = await server.call("messages_read", session_key="agent:main:main")
        assert "You said: for the editor" in history
        await server.call("events_poll")
