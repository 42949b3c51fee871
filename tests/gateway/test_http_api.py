"""`/v1/chat/completions`, `/v1/models`, `/v1/responses`, `/tools/invoke` over real HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from native_world import PROXY_AUTH, PROXY_HEADERS, TOKEN, NativeGateway, Operator

from deadlines import eventually
from openclaw_tenancy.demo.fakellm import FakeLLM

BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def post(gateway: NativeGateway, path: str, body: Any, headers: dict[str, str] = BEARER) -> tuple[int, Any]:
    status, _, content = await gateway.http("POST", path, body, headers)
    return status, json.loads(content)


def events(content: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in content.decode().splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_chat_completion(gateway: NativeGateway, llm: FakeLLM) -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": "two"}]},
    ]
    status, body = await post(gateway, "/v1/chat/completions", {"model": "openclaw", "messages": messages})
    assert status == 200
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "You said: two"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] > 0
    asked = llm.requests[-1].body["messages"]
    assert "be brief" in asked[0]["content"]
    assert [message["content"] for message in asked[1:]] == ["one", "1", "two"]


async def test_chat_completion_streams(gateway: NativeGateway) -> None:
    body = {"model": "openclaw/default", "stream": True, "stream_options": {"include_usage": True}}
    body["messages"] = [{"role": "user", "content": "SLOW:30 one two three"}]
    status, headers, content = await gateway.http("POST", "/v1/chat/completions", body, BEARER)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *chunks, usage, done = events(content)
    assert done == "[DONE]"
    assert usage["usage"]["completion_tokens"] > 0
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == "You said: SLOW:30 one two three"
    assert len(chunks) > 4
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_user_has_one_conversation(gateway: NativeGateway, llm: FakeLLM) -> None:
    for text in ("first", "second"):
        await post(gateway, "/v1/chat/completions", {"user": "u1", "messages": [{"role": "user", "content": text}]})
    assert len(llm.requests[-1].body["messages"]) == 4
    headers = {**BEARER, "x-openclaw-session-key": "agent:main:main"}
    await post(gateway, "/v1/chat/completions", {"messages": [{"role": "user", "content": "main"}]}, headers)
    client = await gateway.operator()
    history = await client.call("chat.history", {"sessionKey": "main"})
    assert history["messages"][0]["content"] == "main"
    await client.close()


async def test_a_client_that_leaves_takes_its_run_with_it(
    gateway: NativeGateway, operator: Operator, llm: FakeLLM
) -> None:
    body = {"stream": True, "messages": [{"role": "user", "content": "HOLD one two three"}]}
    request = asyncio.create_task(gateway.http("POST", "/v1/chat/completions", body, BEARER))
    await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    request.cancel()
    ended = await operator.event(
        lambda frame: frame["event"] == "chat" and frame["payload"]["state"] in ("aborted", "final")
    )
    assert ended["payload"]["state"] == "aborted"
    llm.release()


async def test_failures_are_errors(gateway: NativeGateway) -> None:
    status, body = await post(gateway, "/v1/chat/completions", {"messages": [{"role": "user", "content": "FAIL:401"}]})
    assert (status, body["error"]["type"]) == (500, "api_error")
    request = {"stream": True, "messages": [{"role": "user", "content": "FAIL:401"}]}
    _, _, content = await gateway.http("POST", "/v1/chat/completions", request, BEARER)
    assert events(content)[-1]["error"]["type"] == "api_error"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"messages": []}, 400),
        ({"messages": "x"}, 400),
        ({"messages": [{"role": "x", "content": "y"}]}, 400),
        ({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}]}, 400),
        ([], 400),
    ],
)
async def test_requests_that_are_refused(gateway: NativeGateway, body: Any, status: int) -> None:
    assert (await post(gateway, "/v1/chat/completions", body))[0] == status


async def test_who_may_ask(gateway: NativeGateway) -> None:
    refused = {"error": {"message": "Unauthorized", "type": "unauthorized"}}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        assert await post(gateway, "/tools/invoke", {}, headers) == (401, refused)
    assert (await gateway.http("GET", "/v1/chat/completions", headers=BEARER))[0] == 405
    assert (await gateway.http("GET", "/nowhere", headers=BEARER))[0] == 404


async def test_endpoints_are_off_until_enabled(native: NativeGateway) -> None:
    del native.config["gateway"]["http"]
    await native.start()
    for path in ("/v1/chat/completions", "/v1/responses"):
        assert (await post(native, path, {}))[0] == 404


async def test_the_proxy_vouches_over_http_too(native: NativeGateway) -> None:
    native.config["gateway"]["auth"] = PROXY_AUTH
    native.config["gateway"]["trustedProxies"] = ["127.0.0.0/8"]
    await native.start()
    body = {"messages": [{"role": "user", "content": "hello"}]}
    assert (await post(native, "/v1/chat/completions", body, PROXY_HEADERS))[0] == 200
    assert (await post(native, "/v1/chat/completions", body, {**PROXY_HEADERS, "x-openclaw-tenant": "other"}))[0] == 401
    read_only = {**PROXY_HEADERS, "x-openclaw-scopes": "operator.read"}
    assert (await post(native, "/v1/chat/completions", body, read_only))[0] == 403
    assert (await native.http("GET", "/v1/models", headers=read_only))[0] == 200
    assert (await post(native, "/v1/chat/completions", body, BEARER))[0] == 401


async def test_models(gateway: NativeGateway) -> None:
    _, _, content = await gateway.http("GET", "/v1/models", headers=BEARER)
    assert [model["id"] for model in json.loads(content)["data"]] == ["openclaw", "openclaw/default", "openclaw/main"]
    assert (await gateway.http("GET", "/v1/models/openclaw%2Fdefault", headers=BEARER))[0] == 200
    assert (await gateway.http("GET", "/v1/models/other", headers=BEARER))[0] == 404


async def test_responses(gateway: NativeGateway, llm: FakeLLM) -> None:
    status, body = await post(
        gateway, "/v1/responses", {"model": "openclaw", "input": "hello", "instructions": "briefly"}
    )
    assert status == 200
    assert body["status"] == "completed"
    assert body["output"][0]["content"][0]["text"] == "You said: hello"
    follow = {"model": "openclaw", "input": [{"role": "user", "content": "more"}], "previous_response_id": body["id"]}
    await post(gateway, "/v1/responses", follow)
    assert len(llm.requests[-1].body["messages"]) == 4
    _, _, content = await gateway.http("POST", "/v1/responses", {"input": "hello", "stream": True}, BEARER)
    *parts, completed, done = events(content)
    assert done == "[DONE]"
    assert completed["type"] == "response.completed"
    assert "".join(part["delta"] for part in parts if part["type"] == "response.output_text.delta") == "You said: hello"
    assert [part["sequence_number"] for part in parts] == list(range(len(parts)))


async def test_tools_invoke(gateway: NativeGateway, operator: Operator) -> None:
    await operator.turn("hello")
    status, body = await post(gateway, "/tools/invoke", {"tool": "read", "args": {"path": "SOUL.md"}})
    assert status == 200
    assert "SOUL.md" in body["result"]["content"][0]["text"]
    status, body = await post(gateway, "/tools/invoke", {"tool": "read", "args": {"path": "../x"}})
    assert (status, body["ok"], body["error"]["type"]) == (400, False, "tool_error")
    for tool in ("exec", "cron", "nosuch"):
        assert (await post(gateway, "/tools/invoke", {"tool": tool, "args": {"command": "id"}}))[0] == 404
    invoked = await operator.call("tools.invoke", {"name": "ls", "args": {}})
    assert invoked["ok"] is True
    assert (await operator.call("tools.invoke", {"name": "exec", "args": {}}))["error"]["code"] == "not_found"


async def test_a_large_body_is_refused(gateway: NativeGateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\n")
    writer.write(b"x" * 22_000_000)
    head = await asyncio.wait_for(reader.readline(), 10)
    assert b" 4" in head
    writer.close()
    await eventually(lambda: gateway.http("GET", "/healthz"), 10)
