"""A gateway's HTTP side as a real aiohttp server: echoes what it was told, streams SSE slowly."""

from __future__ import annotations

import asyncio
import json
import uuid

from aiohttp import web
from router_world import TestFleet

from tenant_router.fleet import GatewayAddress


class HttpGateway:
    """Answers /startupz, /v1/chat/completions (SSE), and echoes everything else."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.uid = uuid.uuid4().hex
        self.release = asyncio.Event()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/startupz", self._startup)
        app.router.add_post("/v1/chat/completions", self._sse)
        app.router.add_route("*", "/{path:.*}", self._echo)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)  # nobody reads what it still streams

    async def start(self) -> GatewayAddress:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        return GatewayAddress("127.0.0.1", port, self.uid, self.user)

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _startup(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "status": "started"})

    async def _sse(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        await self.release.wait()
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def _echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = [[name.lower(), value] for name, value in request.headers.items()]
        told = {"method": request.method, "target": request.raw_path, "headers": headers, "size": len(body)}
        return web.Response(text=json.dumps(told), content_type="application/json", headers={"X-Gateway": self.user})


class HttpFleet(TestFleet):
    """A TestFleet whose gateways are HttpGateways."""

    __test__ = False

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        self.starts[key] += 1
        await asyncio.sleep(self.delay)
        gateway = HttpGateway(f"user-of-{key}")
        self.gateways[key] = gateway  # type: ignore[assignment]  # TestFleet uses what both have: start, stop, uid
        return await gateway.start()
