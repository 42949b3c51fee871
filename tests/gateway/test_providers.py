"""Providers that fail, and the two wire formats, against the fake model over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_world import NativeGateway, Operator, provider, text_of

from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_gateway.providers.sse import EventReader


@pytest.fixture
async def anthropic(native: NativeGateway, llm: FakeLLM) -> AsyncIterator[Operator]:
    base = llm.base_url.removesuffix("/v1")
    native.config["models"]["providers"]["fakeanth"] = provider(base, "anthropic-messages", "claude-fake")
    native.config["agents"]["defaults"]["model"]["primary"] = "fakeanth/claude-fake"
    await native.start()
    client = await native.operator()
    yield client
    await client.close()


async def test_anthropic_streams_and_calls_tools(anthropic: Operator, llm: FakeLLM) -> None:
    assert "hello claude" in text_of(await anthropic.turn("hello claude"))
    assert llm.requests[-1].path == "/v1/messages"
    assert llm.requests[-1].headers["x-api-key"] == "sk-fake"
    assert llm.requests[-1].headers["anthropic-version"]
    end = await anthropic.turn('SPLITTOOL:write {"path": "a.txt", "content": "x"}')
    assert text_of(end) == "write said: Wrote 1 bytes to a.txt"
    roles = [message["role"] for message in llm.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    history = await anthropic.call("chat.history", {"sessionKey": "main"})
    assert history["messages"][1]["api"] == "anthropic-messages"
    assert history["messages"][1]["usage"]["input"] > 0


@pytest.mark.parametrize("failure", ["FAIL:500*2", "FAIL:429*1", "FAIL:503*1"])
async def test_passing_failures_are_not_shown(operator: Operator, failure: str) -> None:
    end = await operator.turn(f"{failure} hello")
    assert end["state"] == "final"


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [("FAIL:401", 401, "auth"), ("FAIL:400", 400, "unknown"), ("FAIL:404", 404, "model_not_found")],
)
async def test_lasting_failures_are_told_at_once(
    operator: Operator, llm: FakeLLM, failure: str, status: int, reason: str
) -> None:
    end = await operator.turn(f"{failure} hello")
    assert end["state"] == "error"
    assert end["errorDetail"]["httpStatus"] == status
    assert end["errorDetail"]["failoverReason"] == reason
    assert len(llm.requests) == 1


@pytest.mark.parametrize("failure", ["CUT", "GARBLE"])
async def test_a_broken_stream_is_asked_for_again_and_then_told(operator: Operator, llm: FakeLLM, failure: str) -> None:
    end = await operator.turn(f"{failure} one two three four five six")
    assert end["state"] == "error"
    assert len(llm.requests) == 4
    replaced = [frame["payload"] for frame in operator.events if frame["payload"].get("replace")]
    assert replaced
    assert all(payload["deltaText"] == "" for payload in replaced)


async def test_the_next_model_of_the_list_answers(native: NativeGateway, llm: FakeLLM) -> None:
    native.config["models"]["providers"]["dead"] = provider("http://127.0.0.1:9/v1", model="dead-model")
    native.config["models"]["providers"]["dead"]["api"] = "openai-responses"
    native.config["agents"]["defaults"]["model"] = {"primary": "dead/dead-model", "fallbacks": ["fake/fake-model"]}
    await native.start()
    client = await native.operator()
    end = await client.turn("hello")
    assert end["state"] == "final"
    models = [
        frame["payload"]["data"]["model"]
        for frame in client.events
        if frame["event"] == "agent" and frame["payload"]["data"].get("phase") == "model"
    ]
    assert models == ["dead-model", "fake-model", None]
    await client.close()


async def test_a_slow_head_does_not_block_the_gateway(native: NativeGateway, llm: FakeLLM) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    native.config["models"]["providers"]["fake"]["baseUrl"] = f"http://127.0.0.1:{port}/v1"
    await native.start()
    client = await native.operator()
    run_id = await client.chat("hello")
    assert (await client.call("health"))["ok"] is True
    await client.call("chat.abort", {"sessionKey": "main"})
    assert (await client.ended(run_id))["state"] == "aborted"
    await client.close()
    server.close()


SSE = b"event: a\ndata: one\n\n: comment\n\ndata: two\ndata:three\r\n\r\ndata: four\r\revent: x\n\ndata\n\n"
EVENTS = [("a", b"one"), ("", b"two\nthree"), ("", b"four"), ("", b"")]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_events_are_the_same_however_they_are_cut(cuts: list[int]) -> None:
    reader, found, rest = EventReader(), [], SSE
    for cut in cuts:
        found += reader.feed(rest[:cut])
        rest = rest[cut:]
    found += reader.feed(rest)
    assert found == EVENTS
