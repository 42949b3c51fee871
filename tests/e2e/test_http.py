"""What does not come by WebSocket: the HTTP API with a Bearer token, and the Control UI's page."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from deadlines import eventually
from e2e_world import World
from tenant_api.token_files import issue_token, revoke_token

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]


async def test_chat_completions_wake_upstreams_gateway_and_stream(world: World) -> None:
    await world.asleep("bert")
    body = {"model": "openclaw/default", "stream": True, "messages": [{"role": "user", "content": "by http"}]}
    headers = {"Authorization": f"Bearer {world.tokens['bert']}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{world.up.up.listen}/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        assert answer.status == 200
        text = (await answer.read()).decode()
    assert text.rstrip().endswith("data: [DONE]")
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert "by http" in said


async def test_wrong_bearer_token_gets_upstreams_answer_and_wakes_nobody(world: World) -> None:
    await world.asleep("anna")
    wakes = (await world.up.tenant("anna"))["wakes"]
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer nobodys"}) as session:
        for path in ("/v1/chat/completions", "/tools/invoke"):
            async with session.post(f"http://{world.up.up.listen}{path}", json={}) as answer:
                assert answer.status == 401
                assert await answer.json() == {"error": {"message": "Unauthorized", "type": "unauthorized"}}
    assert (await world.up.tenant("anna"))["wakes"] == wakes


async def test_loading_the_control_ui_wakes_nobody(world: World) -> None:
    await world.asleep("anna")
    await world.asleep("bert")
    wakes = [one["wakes"] for one in await world.up.tenants()]
    async with aiohttp.ClientSession() as session, session.get(f"http://{world.up.up.listen}/") as answer:
        page = await answer.text()
    assert answer.status == 200
    assert "<openclaw" in page
    assert [one["wakes"] for one in await world.up.tenants()] == wakes


async def test_a_streamed_turn_is_cut_when_its_token_is_revoked_or_expires(fresh: World) -> None:
    await fresh.add("anna", "native")
    body = {"model": "openclaw/default", "stream": True}
    body["messages"] = [{"role": "user", "content": "SLOW:1000 " + "word " * 60}]
    async with fresh.running(), aiohttp.ClientSession(f"http://{fresh.up.up.listen}") as session:
        await fresh.command("wake", "anna")
        expiry = (datetime.now(UTC) + timedelta(seconds=8)).replace(microsecond=0)
        for name, expires_at in (("lost", None), ("lent", expiry)):
            token = issue_token(fresh.directory, "anna", name, expires_at).token
            headers = {"Authorization": f"Bearer {token}"}

            async def works(headers: dict[str, str] = headers) -> bool:
                async with session.get("/v1/models", headers=headers) as answer:
                    return answer.status != 401

            await eventually(works, 5, "the token works")
            async with session.post("/v1/chat/completions", json=body, headers=headers) as answer:
                assert answer.status == 200
                await answer.content.readuntil(b'"content"')
                if expires_at is None:
                    revoke_token(fresh.directory, "anna", name)
                at = expires_at or datetime.now(UTC)
                async with asyncio.timeout(20):
                    with pytest.raises(aiohttp.ClientError):  # cut: an end in good order would pass for the whole
                        await answer.read()
            assert 0.0 <= (datetime.now(UTC) - at).total_seconds() < 1.0
