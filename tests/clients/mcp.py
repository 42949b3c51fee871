"""A client of MCP servers over stdio, as an editor or a desktop agent is one."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clients.running import Running, running

ANSWER_TIMEOUT = 120.0
"""Seconds for one answer: a turn, with the wake before it."""


class McpClient:
    """A connection past `initialize`."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._ids = itertools.count(1)
        self.info: dict[str, Any] = {}
        """What `initialize` was answered with."""

    async def request(self, method: str, **params: Any) -> Any:
        """Return the result of one request; what comes unasked before it is dropped."""
        wanted = next(self._ids)
        self._send({"id": wanted, "method": method, "params": params})
        stdout = self._server.process.stdout
        assert stdout is not None
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while line := await stdout.readline():
                told = json.loads(line)
                if told.get("id") == wanted:
                    assert "error" not in told, told["error"]
                    return told["result"]
        raise AssertionError(f"the server ended:\n{self._server.said}")

    async def start(self) -> None:
        """The handshake."""
        client = {"name": "tests", "version": "1"}
        self.info = await self.request("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        self._send({"method": "notifications/initialized"})

    async def tools(self) -> set[str]:
        """Return the names of the server's tools."""
        return {tool["name"] for tool in (await self.request("tools/list"))["tools"]}

    async def call(self, tool: str, **arguments: Any) -> str:
        """Call a tool; return its text."""
        result = await self.request("tools/call", name=tool, arguments=arguments)
        text = "\n".join(block["text"] for block in result["content"] if block["type"] == "text")
        assert not result.get("isError"), text
        return text

    def _send(self, message: dict[str, Any]) -> None:
        stdin = self._server.process.stdin
        assert stdin is not None
        stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


@asynccontextmanager
async def mcp(argv: Sequence[str], env: Mapping[str, str], folder: Path) -> AsyncIterator[McpClient]:
    """Start an MCP server, shake hands, end it with the block."""
    async with running(argv, env, folder, pipe=True) as server:
        client = McpClient(server)
        await client.start()
        yield client
