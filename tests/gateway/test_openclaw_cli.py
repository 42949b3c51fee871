"""Upstream's own command line, unmodified, against the native gateway alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from native_world import TOKEN, NativeGateway

from clients.openclaw_cli import OpenClawCli

pytestmark = pytest.mark.openclaw


@pytest.fixture
def cli(gateway: NativeGateway, openclaw_cli: Callable[..., OpenClawCli]) -> OpenClawCli:
    return openclaw_cli(gateway.url, TOKEN)


async def test_health_and_status(cli: OpenClawCli) -> None:
    assert (await cli.call("health")).ok().json["ok"] is True
    assert (await cli.call("status")).ok().json["runtimeVersion"] == "2026.9.6"


async def test_chat(cli: OpenClawCli) -> None:
    key = str(uuid.uuid4())
    sent = await cli.call("chat.send", {"sessionKey": "main", "message": "hello cli", "idempotencyKey": key})
    assert sent.ok().json == {"runId": key, "status": "started"}
    (await cli.call("agent.wait", {"runId": key, "timeoutMs": 9000})).ok()
    history = (await cli.call("chat.history", {"sessionKey": "main"})).ok().json
    assert [message["role"] for message in history["messages"]] == ["user", "assistant"]


async def test_agent(cli: OpenClawCli) -> None:
    finished = (await cli.agent("hello agent")).ok()
    assert "hello agent" in finished.reply
    assert "hello" in (await cli.run("agent", "--agent", "main", "--message", "hello plain")).ok().stdout


async def test_a_wrong_token_is_refused_in_upstreams_words(cli: OpenClawCli) -> None:
    cli.token = "wrong"
    refused = await cli.call("health")
    assert refused.code == 1
    assert "unauthorized: gateway token mismatch" in refused.stdout + refused.stderr
