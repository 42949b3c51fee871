"""A web server that answers in an API server's place what a test says: for answers that a real one gives only elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tenant_operator.apiserver.access import Access
from tenant_operator.apiserver.client import ApiClient


class ScriptedApiServer:
    """`answers` by method and path: a status code and a body."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path and body of each request."""
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        nothing = {"kind": "Status", "code": 404, "reason": "NotFound", "message": "nobody said anything about this"}
        content = await request.read()
        self.asked.append((request.method, request.path, json.loads(content) if content else None))
        status, body = self.answers.get((request.method, request.path), (404, nothing))
        return web.json_response(body, status=status)


@asynccontextmanager
async def scripted(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[ScriptedApiServer, ApiClient]]:
    """Serve on a free port of loopback, and have a client for it."""
    server = ScriptedApiServer()
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", server.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = int(runner.addresses[0][1])
    kubeconfig = tmp / "kubeconfig"
    whole = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.port}"}}],
        "users": [{"name": "it", "user": {"token": "t"}}],
    }
    kubeconfig.write_text(json.dumps(whole))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    client = ApiClient(Access(), lambda verb, plural: None)
    try:
        yield server, client
    finally:
        await client.close()
        await runner.cleanup()
