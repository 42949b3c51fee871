"""The admin port."""

from __future__ import annotations

import aiohttp
from router_world import Client, TestFleet

from tenant_router.admin.app import build_admin_app
from tenant_router.admin.server import AdminServer
from tenant_router.server import Router


async def test_admin_port_tells_health_metrics_and_activity(router: Router, fleet: TestFleet) -> None:
    fleet.add("ada", "tok-a")
    admin = AdminServer(build_admin_app(router), AdminServer.bind(("127.0.0.1", 0)))
    admin.start()
    try:
        client = await Client.open(router)
        assert (await client.hello("tok-a"))["ok"]
        host, port = admin.address
        async with aiohttp.ClientSession(f"http://{host}:{port}", timeout=aiohttp.ClientTimeout(10)) as http:
            async with http.get("/healthz") as answer:
                assert answer.status == 200
            async with http.get("/readyz") as answer:
                assert await answer.json() == {"ready": True, "draining": False}
            async with http.get("/metrics") as answer:
                text = await answer.text()
                assert "openclaw_router_relayed_connections 1.0" in text
                assert 'openclaw_router_wakes_total{outcome="ok"} 1.0' in text
            async with http.get("/activity") as answer:
                report = await answer.json()
                assert report["tenants"]["ada"]["connections"] == 1
                assert report["tenants"]["ada"]["last_request"] > report["since"] - 1
            router.draining = True
            async with http.get("/readyz") as answer:
                assert answer.status == 503
    finally:
        await admin.stop()
