"""A turn as it may go: three tool calls, the provider fails in the middle, two clients watch, one stops it, it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from native_world import NativeGateway, Operator, text_of

from deadlines import eventually
from openclaw_tenancy.demo.fakellm import FakeLLM


def call(tool: str, **arguments: Any) -> str:
    return f"TOOL:{tool} {json.dumps(arguments)}"


@pytest.fixture
def workspace(gateway: NativeGateway) -> Path:
    path = gateway.state / "workspace"
    path.mkdir()
    return path


def told(client: Operator, run_id: str) -> list[Any]:
    """What a client was told of a run, without the numbers of its own connection."""
    return [
        (frame["event"], frame["payload"])
        for frame in client.events
        if frame["event"] in ("chat", "agent") and frame["payload"]["runId"] == run_id
    ]


async def test_two_clients_see_the_same_turn_fail_go_on_stop_and_resume(
    gateway: NativeGateway, operator: Operator, workspace: Path, llm: FakeLLM
) -> None:
    other = await gateway.operator()
    message = " ".join(
        [
            "FAIL:500*1@1",
            call("exec", command="echo once >> log"),
            call("write", path="notes.md", content="kept"),
            call("exec", command="echo $$ > pid; sleep 60"),
        ]
    )
    run_id = await operator.chat(message)
    await eventually((workspace / "pid").exists, 20, "the third call runs")
    stopped = await other.call("chat.abort", {"sessionKey": "main", "runId": run_id})
    assert stopped["aborted"] is True
    ends = [await client.ended(run_id) for client in (operator, other)]
    assert [end["state"] for end in ends] == ["aborted", "aborted"]
    assert told(operator, run_id) == told(other, run_id)
    calls = [
        (payload["data"]["phase"], payload["data"]["name"])
        for event, payload in told(other, run_id)
        if event == "agent" and payload["stream"] == "tool"
    ]
    assert calls == [
        ("start", "exec"),
        ("result", "exec"),
        ("start", "write"),
        ("result", "write"),
        ("start", "exec"),
    ]
    # Four requests were made and one of them failed: the calls before it were not made again.
    assert len(llm.requests) == 4
    assert (workspace / "log").read_text() == "once\n"
    assert (workspace / "notes.md").read_text() == "kept"
    pid = (workspace / "pid").read_text().strip()
    await eventually(lambda: not Path("/proc", pid).exists(), 10, "the command of the stopped turn is gone")
    resumed = await other.chat("what is left to do?")
    ends = [await client.ended(resumed) for client in (operator, other)]
    assert [text_of(end) for end in ends] == ["You said: what is left to do?"] * 2
    roles = [message["role"] for message in llm.requests[-1].body["messages"]]
    # Every call that the model is shown has its result, the stopped one too: no provider takes it otherwise.
    assert roles == ["system", "user", *["assistant", "tool"] * 3, "user"]
    assert "stopped" in llm.requests[-1].body["messages"][-2]["content"]
    await other.close()


async def test_a_call_in_pieces_and_a_slow_answer(operator: Operator, workspace: Path) -> None:
    (workspace / "notes.md").write_text("many words")
    message = f"SLOW:30 SPLIT{call('read', path='notes.md')} {call('ls', path='.')}"
    end = await operator.turn(message)
    assert text_of(end) == "ls said: notes.md"
    history = (await operator.call("chat.history", {"sessionKey": "main"}))["messages"]
    names = [
        part["name"] for entry in history for part in entry["content"] if isinstance(part, dict) and "name" in part
    ]
    assert names == ["read", "ls"]
    assert history[2]["content"][0]["text"] == "many words"


async def test_a_provider_that_asks_for_patience_gets_it(operator: Operator, workspace: Path, llm: FakeLLM) -> None:
    end = await operator.turn(f"FAIL:429*1@1 {call('ls', path='.')}")
    assert end["state"] == "final"
    first, refused, answered = llm.requests
    assert refused.received - first.received < 1.0
    assert answered.received - refused.received >= 1.0  # `retry-after: 1`
