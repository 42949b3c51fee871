"""Messages that come while a run is under way."""

from __future__ import annotations

from native_world import Operator, text_of

from openclaw_tenancy.demo.fakellm import FakeLLM


async def test_a_message_steers_the_run_under_way(operator: Operator, llm: FakeLLM) -> None:
    first = await operator.chat("HOLD the first of all")
    await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    second = await operator.chat("and the second")
    pending = (await operator.call("chat.history", {"sessionKey": "main"}))["pendingInputs"]
    assert [(item["runId"], item["state"]) for item in pending["items"]] == [(second, "queued")]
    llm.release()
    joined = await operator.ended(second)
    assert joined["state"] == "final"
    assert "message" not in joined
    text = text_of(await operator.ended(first))
    assert text == "You said: HOLD the first of all\n\nYou said: and the second"
    messages = (await operator.call("chat.history", {"sessionKey": "main"}))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert {message["__openclaw"].get("runId") for message in messages[1::2]} == {first}


async def test_followup_waits_for_a_turn_of_its_own(operator: Operator, llm: FakeLLM) -> None:
    first = await operator.chat("HOLD the first of all")
    second = await operator.chat("and the second", queueMode="followup")
    llm.release()
    assert text_of(await operator.ended(first)) == "You said: HOLD the first of all"
    assert text_of(await operator.ended(second)) == "You said: and the second"


async def test_interrupt_aborts_the_run_under_way(operator: Operator, llm: FakeLLM) -> None:
    first = await operator.chat("HOLD the first of all")
    await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    second = await operator.chat("stop that", queueMode="interrupt")
    assert (await operator.ended(first))["state"] == "aborted"
    assert text_of(await operator.ended(second)) == "You said: stop that"
    llm.release()


async def test_a_waiting_message_can_be_taken_back(operator: Operator, llm: FakeLLM) -> None:
    first = await operator.chat("HOLD the first of all")
    second = await operator.chat("not this", queueMode="followup")
    aborted = await operator.call("chat.abort", {"sessionKey": "main", "runId": second})
    assert aborted["runIds"] == [second]
    assert (await operator.ended(second))["state"] == "aborted"
    llm.release()
    assert (await operator.ended(first))["state"] == "final"
    messages = (await operator.call("chat.history", {"sessionKey": "main"}))["messages"]
    assert "not this" not in [message["content"] for message in messages]
