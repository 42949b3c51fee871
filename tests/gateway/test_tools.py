"""Tool calls of a real turn: what the model gets, what clients see, what the workspace keeps out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from native_world import NativeGateway, Operator
from native_world import call_tool as call

from deadlines import eventually
from openclaw_tenancy.demo.fakellm import FakeLLM


@pytest.fixture
async def workspace(gateway: NativeGateway, operator: Operator) -> Path:
    await operator.turn("hello")
    return gateway.state / "workspace"


async def test_write_read_edit_and_list(operator: Operator, workspace: Path) -> None:
    assert "Wrote 11 bytes" in await call(operator, "write", path="notes/today.md", content="buy lamps\nx")
    assert (workspace / "notes" / "today.md").read_text() == "buy lamps\nx"
    assert "buy lamps" in await call(operator, "read", path="notes/today.md")
    await call(operator, "edit", path="notes/today.md", edits=[{"oldText": "lamps", "newText": "oil"}])
    assert (workspace / "notes" / "today.md").read_text() == "buy oil\nx"
    assert "not found" in await call(operator, "edit", path="notes/today.md", edits=[{"oldText": "z", "newText": ""}])
    assert "notes/" in await call(operator, "ls")
    assert "today.md" in await call(operator, "find", pattern="*.md", path="notes")
    assert "notes/today.md:1: buy oil" in await call(operator, "grep", pattern="b.y", glob="*.md")


async def test_a_call_is_told_and_recorded_as_upstream_does(operator: Operator, workspace: Path) -> None:
    operator.events.clear()
    run_id = await operator.chat('SPLITTOOL:read {"path": "SOUL.md"}')
    await operator.ended(run_id)
    agents = [frame["payload"] for frame in operator.events if frame["event"] == "agent"]
    steps = [
        (agent["stream"], agent["data"]["phase"], agent["data"].get("status") or agent["data"].get("isError"))
        for agent in agents
        if agent["stream"] in ("item", "tool")
    ]
    assert steps == [
        ("item", "start", "running"),
        ("tool", "start", None),
        ("tool", "result", False),
        ("item", "end", "completed"),
    ]
    messages = (await operator.call("chat.history", {"sessionKey": "main", "limit": 4}))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "toolResult", "assistant"]
    assert messages[1]["content"][0]["type"] == "toolCall"
    assert messages[1]["stopReason"] == "toolUse"
    assert messages[2]["toolCallId"] == messages[1]["content"][0]["id"]
    assert messages[2]["toolName"] == "read"


async def test_tool_events_need_the_cap(gateway: NativeGateway, workspace: Path) -> None:
    client = await gateway.operator(caps=())
    await call(client, "ls")
    assert not [frame for frame in client.events if frame["payload"].get("stream") in ("tool", "item")]
    await client.close()


ESCAPES = ["/etc/hostname", "../state/secret", "..", "out/secret", "link", "~/x", "notes/../../secret", "up/secret"]


@pytest.mark.parametrize("path", ESCAPES)
async def test_paths_that_leave_the_workspace_are_refused(
    gateway: NativeGateway, operator: Operator, workspace: Path, path: str
) -> None:
    outside = gateway.state / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the secret")
    (gateway.state / "secret").write_text("the secret")
    (workspace / "notes").mkdir()
    (workspace / "out").symlink_to(outside)
    (workspace / "up").symlink_to("..")
    (workspace / "link").symlink_to(outside / "secret")
    for tool, more in (
        ("read", {}),
        ("write", {"content": "x"}),
        ("edit", {"edits": [{"oldText": "t", "newText": ""}]}),
    ):
        answer = await call(operator, tool, session=tool, path=path, **more)
        assert "outside the workspace" in answer or "directory" in answer.lower()
        assert "the secret" not in answer
    assert (outside / "secret").read_text() == "the secret"
    assert (gateway.state / "secret").read_text() == "the secret"
    assert "secret" not in await call(operator, "grep", pattern="the secret", session="grep")
    assert "secret" not in await call(operator, "find", pattern="secret*", session="find")


async def test_links_inside_the_workspace_work(operator: Operator, workspace: Path) -> None:
    (workspace / "real.md").write_text("here")
    (workspace / "alias.md").symlink_to("real.md")
    assert "here" in await call(operator, "read", path="alias.md")
    await call(operator, "write", path="alias.md", content="changed")
    assert (workspace / "real.md").read_text() == "changed"


async def test_pipes_and_devices_do_not_hang(operator: Operator, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    assert "not a regular file" in await call(operator, "read", path="pipe")
    assert "not a regular file" in await call(operator, "write", path="pipe", content="x")


async def test_exec_runs_in_the_workspace_without_the_keys(native: NativeGateway) -> None:
    native.environ["SECRET_KEY"] = "sk-do-not-show"
    await native.start()
    client = await native.operator()
    answer = await call(client, "exec", command="pwd; env; echo err >&2; echo done > made")
    assert str(native.state / "workspace") in answer
    assert "err" in answer
    assert "sk-do-not-show" not in answer
    assert (native.state / "workspace" / "made").read_text() == "done\n"
    assert "code 3" in await call(client, "exec", command="exit 3")
    assert "Command was ended: timeout" in await call(client, "exec", command="sleep 30", timeout=1)
    await client.close()


async def test_exec_output_is_bounded(operator: Operator, workspace: Path) -> None:
    answer = await call(operator, "exec", command="head -c 3000000 /dev/zero | tr '\\0' x")
    assert len(answer) < 60_000
    assert "left out" in answer


async def test_background_commands_are_followed_and_ended(operator: Operator, workspace: Path) -> None:
    started = await call(operator, "exec", command="echo begun; sleep 60", background=True)
    session = started.split("session ")[1].split(",")[0]
    assert session in await call(operator, "process", action="list")
    assert "begun" in await call(operator, "process", action="log", sessionId=session)
    busy = await operator.call("gateway.suspend.prepare", {"requestId": "r"})
    assert busy["status"] == "busy"
    assert [blocker["kind"] for blocker in busy["blockers"]] == ["background-exec"]
    assert "Ended" in await call(operator, "process", action="kill", sessionId=session)
    assert (await operator.call("gateway.suspend.prepare", {"requestId": "r"}))["status"] == "ready"


async def test_abort_ends_the_command_and_all_it_started(operator: Operator, workspace: Path) -> None:
    line = "sleep 61 & echo $! > child; echo $$ > leader; wait"
    run_id = await operator.chat(f"TOOL:exec {json.dumps({'command': line})}")
    await eventually(lambda: (workspace / "leader").exists() and (workspace / "leader").read_text(), 10)
    await operator.call("chat.abort", {"sessionKey": "main", "runId": run_id})
    assert (await operator.ended(run_id))["state"] == "aborted"

    def gone(name: str) -> bool:
        status = Path("/proc", (workspace / name).read_text().strip(), "status")
        return not status.exists() or "State:\tZ" in status.read_text()

    await eventually(lambda: gone("leader") and gone("child"), 10)
    messages = (await operator.call("chat.history", {"sessionKey": "main"}))["messages"]
    assert messages[-1]["role"] == "toolResult"
    assert messages[-1]["isError"] is True
    assert (await operator.turn("go on"))["state"] == "final"


async def test_denied_tools_are_not_offered(native: NativeGateway, llm: FakeLLM) -> None:
    native.config["tools"] = {"deny": ["group:runtime", "write"]}
    await native.start()
    client = await native.operator()
    assert "not found" in await call(client, "exec", command="true")
    offered = {tool["function"]["name"] for tool in llm.requests[0].body["tools"]}
    assert {"read", "edit"} <= offered
    assert not {"exec", "process", "write"} & offered
    await client.close()


async def test_another_session_is_asked(operator: Operator, workspace: Path) -> None:
    answer = await call(operator, "sessions_send", sessionKey="helper", message="what is new?")
    assert "You said: what is new?" in answer
    assert "agent:main:helper" in await call(operator, "sessions_list")
