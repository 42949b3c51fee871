"""The conversation on the admin port, as the operator has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from router_world import Client, TestFleet

from tenant_router.admin.app import build_admin_app
from tenant_router.admin.server import AdminServer
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings
from tenant_router.suspend import conversation


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"relay": RelayLoop}


@pytest.fixture
async def fleet() -> AsyncIterator[TestFleet]:
    fleet = TestFleet()
    fleet.add("team/anna", "token-anna")
    yield fleet
    await fleet.close()


@pytest.fixture
async def router(fleet: TestFleet) -> AsyncIterator[Router]:
    router = Router(fleet, RouterSettings(listen=("127.0.0.1", 0)))
    router.start()
    yield router
    await router.close()


async def test_the_operators_conversation(router: Router, fleet: TestFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "QUIET", 0.0)
    admin = AdminServer(build_admin_app(router), AdminServer.bind(("127.0.0.1", 0)))
    admin.start()
    client = await Client.open(router)
    assert (await client.hello("token-anna"))["ok"]
    gateway = fleet.gateways["team/anna"]
    gateway.answers["cron.status"] = {"nextWakeAtMs": 1234567890123}
    gateway.answers["gateway.suspend.prepare"] = {"status": "ready", "suspensionId": "s1"}
    host, port = admin.address
    async with aiohttp.ClientSession(f"http://{host}:{port}", timeout=aiohttp.ClientTimeout(10)) as http:

        async def ask(step: str, key: str = "team/anna", uid: str = gateway.uid) -> tuple[int, Any]:
            async with http.post(f"/suspend/{key}", json={"step": step, "uid": uid}) as answer:
                return answer.status, await answer.json()

        status, fenced = await ask("fence")
        assert (status, fenced["quiet"], fenced["busy"], fenced["connections"], fenced["parked"]) == (
            200,
            True,
            None,
            1,
            0,
        )
        assert fenced["lastRequest"] > 0
        assert await ask("prepare") == (
            200,
            {"status": "ready", "reason": None, "retryAfterMs": None, "nextWakeAtMs": 1234567890123},
        )
        assert await ask("open") == (200, {})
        await ask("fence")
        await ask("prepare")
        assert await ask("park") == (200, {"parked": 1, "closed": 0})
        assert (await ask("fence", key="team/nobody"))[0] == 404
        assert (await ask("fence", uid="another"))[0] == 409
        assert (await ask("sing"))[0] == 422
        async with http.get("/activity") as answer:
            assert (await answer.json())["tenants"]["team/anna"]["parked"] == 1
        async with http.get("/metrics") as answer:
            text = await answer.text()
            assert "openclaw_router_parked_connections 1.0" in text
            assert 'openclaw_router_suspends_total{outcome="parked"} 1.0' in text
    await client.ws.close()
    await admin.stop()
