"""`sessions.*`, their events, and slash commands."""

from __future__ import annotations

import pytest
from native_world import NativeGateway, Operator, Refused, text_of

from openclaw_tenancy.demo.fakellm import FakeLLM


async def test_create_list_describe_and_delete(operator: Operator) -> None:
    created = await operator.call("sessions.create", {})
    assert created["key"].startswith("agent:main:dashboard:")
    named = await operator.call("sessions.create", {"key": "mine", "label": "My label"})
    assert (named["key"], named["entry"]["label"], named["runStarted"]) == ("agent:main:mine", "My label", False)
    listed = await operator.call("sessions.list", {})
    assert listed["count"] == listed["totalCount"] == 2
    assert {row["key"] for row in listed["sessions"]} == {created["key"], "agent:main:mine"}
    assert (await operator.call("sessions.list", {"limit": 1}))["hasMore"] is True
    assert (await operator.call("sessions.list", {"search": "label"}))["count"] == 1
    described = await operator.call("sessions.describe", {"key": "mine"})
    assert described["session"]["sessionId"] == named["sessionId"]
    assert (await operator.call("sessions.resolve", {"label": "My label"}))["key"] == "agent:main:mine"
    assert (await operator.call("sessions.resolve", {"sessionId": named["sessionId"]}))["key"] == "agent:main:mine"
    assert (await operator.call("sessions.delete", {"key": "mine"}))["deleted"] is True
    assert (await operator.call("sessions.delete", {"key": "mine"}))["deleted"] is False
    assert (await operator.call("sessions.describe", {"key": "mine"}))["session"] is None
    with pytest.raises(Refused, match="No session found"):
        await operator.call("sessions.resolve", {"key": "mine"})
    with pytest.raises(Refused, match="Cannot delete the main session"):
        await operator.call("sessions.delete", {"key": "main"})


async def test_a_session_may_begin_with_a_message(operator: Operator) -> None:
    created = await operator.call("sessions.create", {"key": "talk", "message": "hello there"})
    assert created["runStarted"] is True
    assert text_of(await operator.ended(created["runId"])) == "You said: hello there"
    sent = await operator.call("sessions.send", {"key": "talk", "message": "again"})
    assert text_of(await operator.ended(sent["runId"])) == "You said: again"
    listed = await operator.call("sessions.list", {"includeDerivedTitles": True, "includeLastMessage": True})
    assert listed["sessions"][0]["derivedTitle"] == "hello there"
    assert listed["sessions"][0]["lastMessagePreview"] == "You said: again"
    preview = await operator.call("sessions.preview", {"keys": ["agent:main:talk", "nosuch"]})
    assert [(item["status"], len(item["items"])) for item in preview["previews"]] == [("ok", 4), ("empty", 0)]
    found = await operator.call("sessions.search", {"query": "THERE"})
    assert found["results"][0]["sessionKey"] == "agent:main:talk"
    assert len((await operator.call("sessions.get", {"key": "talk"}))["messages"]) == 4


async def test_patch_chooses_the_model(native: NativeGateway, llm: FakeLLM) -> None:
    fake = native.config["models"]["providers"]["fake"]
    fake["models"].append({**fake["models"][0], "id": "other-model", "reasoning": True})
    await native.start()
    client = await native.operator()
    patched = await client.call("sessions.patch", {"key": "main", "model": "fake/other-model", "thinkingLevel": "low"})
    assert patched["resolved"]["model"] == "other-model"
    assert patched["entry"]["modelOverride"] == "other-model"
    await client.turn("hello")
    assert llm.requests[-1].body["model"] == "other-model"
    assert llm.requests[-1].body["reasoning_effort"] == "low"
    await client.call("sessions.patch", {"key": "main", "model": None})
    await client.turn("hello")
    assert llm.requests[-1].body["model"] == "fake-model"
    with pytest.raises(Refused, match="unknown model: fake/nope"):
        await client.call("sessions.patch", {"key": "main", "model": "fake/nope"})
    with pytest.raises(Refused, match="invalid thinkingLevel"):
        await client.call("sessions.patch", {"key": "main", "thinkingLevel": "very"})
    await client.close()


async def test_reset_begins_anew(operator: Operator, llm: FakeLLM) -> None:
    await operator.turn("hello")
    before = (await operator.call("sessions.describe", {"key": "main"}))["session"]["sessionId"]
    reset = await operator.call("sessions.reset", {"key": "main"})
    assert reset["entry"]["sessionId"] != before
    await operator.turn("fresh")
    assert len(llm.requests[-1].body["messages"]) == 2


async def test_watchers_are_told(gateway: NativeGateway, operator: Operator) -> None:
    watcher, one, none = await gateway.operator(), await gateway.operator(), await gateway.operator()
    assert await watcher.call("sessions.subscribe", {}) == {"subscribed": True}
    assert await one.call("sessions.messages.subscribe", {"key": "a"}) == {"subscribed": True, "key": "agent:main:a"}
    await operator.turn("hello", session="a")
    await operator.turn("hello", session="b")
    await watcher.event(lambda f: f["event"] == "sessions.changed" and f["payload"].get("phase") == "end")
    changed = [frame["payload"] for frame in watcher.events if frame["event"] == "sessions.changed"]
    assert changed[0]["reason"] == "send"
    assert changed[0]["session"]["key"] == changed[0]["sessionKey"] == "agent:main:a"
    told = [frame["payload"] for frame in watcher.events if frame["event"] == "session.message"]
    assert [message["message"]["role"] for message in told] == ["user", "assistant"] * 2
    assert [message["messageSeq"] for message in told] == [1, 2, 1, 2]
    assert {frame["payload"]["sessionKey"] for frame in one.events if frame["event"] == "session.message"} == {
        "agent:main:a"
    }
    assert not [frame for frame in none.events if frame["event"].startswith("session")]
    for client in (watcher, one, none):
        await client.close()


async def test_slash_commands_are_answered_without_the_model(operator: Operator, llm: FakeLLM) -> None:
    assert "/status" in text_of(await operator.turn("/help"))
    assert "fake/fake-model" in text_of(await operator.turn("/status"))
    assert text_of(await operator.turn("/queue followup")) == "Queue mode set to followup."
    assert llm.requests == type(llm.requests)()
    assert (await operator.call("chat.history", {"sessionKey": "main"}))["messages"] == []
    await operator.turn("hello")
    end = await operator.turn("/new")
    assert "message" not in end
    assert (await operator.call("chat.history", {"sessionKey": "main"}))["messages"] == []
    assert "You said" in text_of(await operator.turn("/unknown command"))


async def test_stop_does_not_wait_in_the_queue(operator: Operator, llm: FakeLLM) -> None:
    run_id = await operator.chat("HOLD one two three")
    answer = await operator.call("chat.send", {"sessionKey": "main", "message": "/stop", "idempotencyKey": "s"})
    assert answer == {"ok": True, "aborted": True, "runIds": [run_id]}
    assert (await operator.ended(run_id))["stopReason"] == "stop"
    llm.release()


async def test_inject_adds_without_a_run(operator: Operator, llm: FakeLLM) -> None:
    await operator.turn("hello")
    injected = await operator.call("chat.inject", {"sessionKey": "main", "message": "a note", "label": "note"})
    message = (await operator.call("chat.message.get", {"sessionKey": "main", "messageId": injected["messageId"]}))[
        "message"
    ]
    assert message["content"][0]["text"] == "[note]\n\na note"
    assert len(llm.requests) == 1


async def test_compaction_keeps_the_conversation_in_the_window(native: NativeGateway, llm: FakeLLM) -> None:
    native.config["models"]["providers"]["fake"]["models"][0]["contextWindow"] = 6000
    await native.start()
    client = await native.operator()
    for number in range(4):
        await client.turn(f"message {number} " + "x" * 6000)
    history = await client.call("chat.history", {"sessionKey": "main"})
    kinds = [message["__openclaw"].get("kind") for message in history["messages"]]
    assert "compaction" in kinds
    sizes = [sum(len(str(message["content"])) for message in request.body["messages"]) for request in llm.requests]
    assert max(sizes) < 6000 * 4
    asked = llm.requests[-1].body["messages"]
    assert asked[1]["content"].startswith("[Summary of the conversation before]")
    compacted = await client.call("sessions.compact", {"key": "main"})
    assert compacted["ok"] is True
    await client.close()
