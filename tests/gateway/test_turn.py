"""Turns with the fake model: streamed, recorded, repeated, aborted, queued."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from native_world import NativeGateway, Operator, Refused, text_of

from deadlines import eventually
from openclaw_tenancy.demo.fakellm import FakeLLM


def states(operator: Operator, run_id: str) -> list[str]:
    chats = [frame["payload"] for frame in operator.events if frame["event"] == "chat"]
    return [chat["state"] for chat in chats if chat["runId"] == run_id]


async def test_a_turn_streams_in_upstreams_shapes(operator: Operator) -> None:
    run_id = await operator.chat("SLOW:60 hello there my friend")
    end = await operator.ended(run_id)
    assert end["state"] == "final"
    assert end["stopReason"] == "stop"
    assert end["sessionKey"] == "agent:main:main"
    chats = [frame["payload"] for frame in operator.events if frame["event"] == "chat"]
    deltas = [chat for chat in chats if chat["state"] == "delta"]
    assert [chat["phase"] for chat in chats[:3]] == ["preparing_workspace", "preparing_context", "starting_model"]
    assert len(deltas) > 2
    assert "".join(delta["deltaText"] for delta in deltas) == text_of(end)
    assert text_of(deltas[-1]) == text_of(end)
    agents = [frame["payload"] for frame in operator.events if frame["event"] == "agent"]
    phases = [agent["data"]["phase"] for agent in agents if agent["stream"] == "lifecycle"]
    assert phases == ["start", "model", "finishing", "model", "end"]
    assert [agent["seq"] for agent in agents] == sorted({agent["seq"] for agent in agents})
    assert [frame["seq"] for frame in operator.events] == list(range(1, len(operator.events) + 1))


async def test_the_first_delta_comes_before_the_model_is_done(operator: Operator, llm: FakeLLM) -> None:
    run_id = await operator.chat("HOLD one two three four")
    delta = await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    assert delta["payload"]["runId"] == run_id
    assert llm.finished == 0
    llm.release()
    assert (await operator.ended(run_id))["state"] == "final"


async def test_history_holds_both_messages(operator: Operator) -> None:
    run_id = await operator.chat("remember me")
    end = await operator.ended(run_id)
    history = await operator.call("chat.history", {"sessionKey": "main"})
    user, assistant = history["messages"]
    assert (user["role"], user["content"]) == ("user", "remember me")
    assert user["idempotencyKey"] == f"{run_id}:user"
    assert user["__openclaw"]["transport"] == {"clients": [{"id": "cli", "mode": "cli"}]}
    assert assistant["content"] == [{"type": "text", "text": text_of(end)}]
    assert assistant["stopReason"] == "stop"
    assert assistant["usage"]["totalTokens"] > 0
    assert assistant["__openclaw"]["runId"] == run_id
    assert history["sessionInfo"]["status"] == "done"
    assert history["sessionInfo"]["hasActiveRun"] is False


async def test_a_session_remembers_and_another_does_not(operator: Operator, llm: FakeLLM) -> None:
    await operator.turn("first words")
    await operator.turn("second words")
    await operator.turn("other words", session="other")
    contents = [[message["content"] for message in request.body["messages"][1:]] for request in llm.requests]
    assert [len(content) for content in contents] == [1, 3, 1]
    assert contents[1][0] == "first words"


async def test_the_prompt_carries_the_workspace_files(gateway: NativeGateway, operator: Operator, llm: FakeLLM) -> None:
    await operator.turn("hello")
    (gateway.state / "workspace" / "SOUL.md").write_text("You are a lighthouse.")
    await operator.turn("hello")
    system = llm.requests[-1].body["messages"][0]
    assert system["role"] == "system"
    assert "You are a lighthouse." in system["content"]


async def test_the_same_key_is_one_run(operator: Operator, llm: FakeLLM) -> None:
    params = {"sessionKey": "main", "message": "once", "idempotencyKey": "the-key"}
    assert await operator.call("chat.send", params) == {"runId": "the-key", "status": "started"}
    await operator.call("chat.send", params)
    await operator.ended("the-key")
    repeated = await operator.call("chat.send", params)
    assert repeated["runId"] == "the-key"
    assert repeated["status"] == "ok"
    assert len(llm.requests) == 1


async def test_what_was_acknowledged_survives_kill_9(native: NativeGateway, llm: FakeLLM) -> None:
    await native.start()
    client = await native.operator()
    run_id = await client.chat("HOLD do not forget this")
    await native.kill()
    llm.release()
    await native.start()
    client = await native.operator()
    history = await client.call("chat.history", {"sessionKey": "main"})
    assert [message["content"] for message in history["messages"]] == ["HOLD do not forget this"]
    again = await client.call("chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": run_id})
    assert again["status"] == "error"
    assert history["sessionInfo"]["abortedLastRun"] is True
    assert (await client.turn("go on"))["state"] == "final"
    await client.close()


async def test_abort_keeps_what_was_said(operator: Operator) -> None:
    run_id = await operator.chat("HOLD one two three four five six")
    await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    answer = await operator.call("chat.abort", {"sessionKey": "main", "runId": run_id})
    assert answer == {"ok": True, "aborted": True, "runIds": [run_id]}
    end = await operator.ended(run_id)
    assert (end["state"], end["stopReason"]) == ("aborted", "rpc")
    history = await operator.call("chat.history", {"sessionKey": "main"})
    assert history["messages"][-1]["content"][0]["text"] == text_of(end)
    nothing = await operator.call("chat.abort", {"sessionKey": "main"})
    assert nothing == {"ok": True, "aborted": False, "runIds": []}


async def test_sessions_run_at_once_and_each_in_order(operator: Operator, llm: FakeLLM) -> None:
    first = await operator.chat("HOLD the first of them", session="a")
    second = await operator.chat("second", session="a", queueMode="followup")
    other = await operator.chat("other", session="b")
    assert (await operator.ended(other))["state"] == "final"
    assert states(operator, second) == []
    llm.release()
    assert (await operator.ended(first))["state"] == "final"
    assert (await operator.ended(second))["state"] == "final"


async def test_agent_answers_twice(operator: Operator) -> None:
    request = await operator.send("agent", {"message": "hello agent", "idempotencyKey": str(uuid.uuid4())})
    accepted = await operator.answer(request)
    assert accepted["status"] == "accepted"
    assert accepted["sessionKey"] == "agent:main:main"
    final = await operator.answer(request)
    assert (final["status"], final["summary"]) == ("ok", "completed")
    assert "hello agent" in final["result"]["payloads"][0]["text"]


async def test_wait_gives_the_outcome_or_times_out(operator: Operator, llm: FakeLLM) -> None:
    run_id = await operator.chat("HOLD me for a while")
    waited = await operator.call("agent.wait", {"runId": run_id, "timeoutMs": 10})
    assert waited == {"runId": run_id, "status": "timeout"}
    request = await operator.send("agent.wait", {"runId": run_id, "timeoutMs": 10_000})
    llm.release()
    waited = await operator.answer(request)
    assert waited["status"] == "ok"
    assert waited["terminalReply"]["text"]
    assert await operator.call("agent.wait", {"runId": run_id}) == waited


async def test_a_client_that_leaves_does_not_stop_its_run(
    gateway: NativeGateway, operator: Operator, llm: FakeLLM
) -> None:
    leaving = await gateway.operator()
    request = await leaving.send("agent", {"message": "HOLD and go on then", "idempotencyKey": "left"})
    await leaving.answer(request)
    await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    await leaving.close()
    llm.release()
    assert (await operator.ended("left"))["state"] == "final"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"message": "x", "idempotencyKey": "k"}, "invalid chat.send params: must have required property 'sessionKey'"),
        ({"sessionKey": "main", "idempotencyKey": "k"}, "must have required property 'message'"),
        ({"sessionKey": "main", "message": 1, "idempotencyKey": "k"}, "at /message: must be string"),
        ({"sessionKey": "main", "message": "", "idempotencyKey": "k"}, "message or attachment required"),
    ],
)
async def test_params_are_checked(operator: Operator, params: dict[str, object], words: str) -> None:
    with pytest.raises(Refused, match=words):
        await operator.call("chat.send", params)


async def test_a_full_queue_refuses(operator: Operator, llm: FakeLLM) -> None:
    first = await operator.chat("HOLD the first of them")
    for number in range(20):
        await operator.chat(f"message {number}")
    with pytest.raises(Refused) as full:
        await operator.chat("one too many")
    assert (full.value.code, full.value.error["retryable"]) == ("UNAVAILABLE", True)
    await operator.call("chat.abort", {"sessionKey": "main"})
    llm.release()
    await operator.ended(first)
    await eventually(lambda: sum(frame["payload"].get("state") == "aborted" for frame in operator.events) == 21, 10)


async def test_a_dead_model_is_told_as_an_error(native: NativeGateway) -> None:
    native.config["models"]["providers"]["fake"]["baseUrl"] = "http://127.0.0.1:9/v1"
    await native.start()
    client = await native.operator()
    end = await client.turn("hello")
    assert end["state"] == "error"
    assert end["errorMessage"] == "LLM request failed: connection refused by the provider endpoint."
    assert end["errorDetail"]["provider"] == "fake"
    assert (await client.call("chat.history", {"sessionKey": "main"}))["sessionInfo"]["status"] == "failed"
    await asyncio.wait_for(client.close(), 5)


async def test_what_waited_at_kill_9_is_answered_after_the_start(native: NativeGateway, llm: FakeLLM) -> None:
    await native.start()
    client = await native.operator()
    await client.chat("HOLD the first of them")
    waiting = await client.chat("and this one waits")
    pending = (await client.call("chat.history", {"sessionKey": "main"}))["pendingInputs"]
    assert [item["runId"] for item in pending["items"]] == [waiting]
    await native.kill()
    await native.start()
    client = await native.operator()
    waited = await client.call("agent.wait", {"runId": waiting, "timeoutMs": 10_000})
    assert waited["status"] == "ok"
    history = await client.call("chat.history", {"sessionKey": "main"})
    roles = [message["role"] for message in history["messages"]]
    assert roles == ["user", "user", "assistant"]
    await client.close()
