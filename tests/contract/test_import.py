"""`openclaw-tenancy import`: an upstream user's state directory becomes a tenant's, and `export` gives it back as JSONL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import KEPT, MAIN, Recording
from gateways import TOKEN, native

from clients.openclaw_cli import OpenClawCli
from openclaw_tenancy.demo.fakellm import FakeLLM

pytestmark = [pytest.mark.openclaw, pytest.mark.timeout(900)]


@pytest.fixture
def tenant(tmp_path: Path) -> Path:
    """The folder of the tenant alice, awake once and asleep again."""
    folder = tmp_path / "data" / "tenants" / "alice"
    (folder / "state" / "workspace").mkdir(parents=True)
    (folder / "state" / "workspace" / "SOUL.md").write_text("You are a tenant.")
    return folder


def command(*args: str) -> subprocess.CompletedProcess[str]:
    argv = [str(Path(sys.executable).with_name("openclaw-tenancy")), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def take_over(state: Path, tenant: Path) -> subprocess.CompletedProcess[str]:
    return command("import", str(state), "--tenant", "alice", "--data", str(tenant.parents[1]), "--json")


def talk(history: dict[str, Any]) -> list[tuple[str, Any]]:
    """Who said what, without what a runtime adds."""
    said = []
    for message in history["messages"]:
        content = message["content"]
        parts = content if isinstance(content, str) else [(part["type"], part.get("text")) for part in content]
        if not isinstance(content, str) and content and content[0].get("text", "").startswith("⚠️"):
            parts = "a failure, which each runtime tells in its words"
        said.append((message["role"], parts))
    return said


async def test_a_real_client_reads_on_where_upstream_ended(
    both: Any, tenant: Path, model: FakeLLM, openclaw_cli: Callable[..., OpenClawCli]
) -> None:
    done = take_over(both.upstream_state, tenant)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sessions"] >= 2
    assert told["kept"] == []
    upstream: Recording = both.upstream
    workspace = tenant / "state" / "workspace"
    assert (workspace / "SOUL.md").read_text() == "You are a lighthouse."
    assert (workspace / "SOUL.md.before-import").read_text() == "You are a tenant."
    assert "Your Workspace" in (workspace / "AGENTS.md").read_text()
    with native(tenant, model.base_url) as gateway:
        assert "awake" in take_over(both.upstream_state, tenant).stderr
        cli = openclaw_cli(gateway.url, TOKEN)
        for key, name in ((MAIN, "chat.history#whole"), (KEPT, "chat.history#kept")):
            history = (await cli.call("chat.history", {"sessionKey": key})).ok().json
            expected = upstream.answers[name].payload
            assert talk(history)[: len(expected["messages"])] == talk(expected)
            assert history["sessionId"] == expected["sessionId"]
        listed = (await cli.call("sessions.list", {})).ok().json["sessions"]
        kept = next(session for session in listed if session["key"] == KEPT)
        assert (kept["label"], kept["pinned"], kept["compactionCount"]) == ("Kept", True, 1)
        files = (await cli.call("chat.history", {"sessionKey": "agent:main:files"})).ok().json
        (fact,) = files["messages"][0]["__openclaw"]["media"]
        kept_file = workspace / "media" / "inbound" / fact["url"].removeprefix("media://inbound/")
        assert kept_file.read_text() == "some notes"
        assert "You said: and now here" in (await cli.agent("and now here", session=KEPT)).ok().reply
    asked = [message["content"] for message in model.requests[-1].body["messages"]]
    assert "Summary of the conversation" in asked[1]
    assert not any(content == "the first of three" for content in asked)
    assert asked[-1] == "and now here"
    again = json.loads(take_over(both.upstream_state, tenant).stdout)
    assert (again["sessions"], again["files"]) == (0, 0)


def test_transcripts_leave_as_jsonl(both: Any, tenant: Path, tmp_path: Path) -> None:
    take_over(both.upstream_state, tenant)
    done = command("export", "alice", "--data", str(tenant.parents[1]), "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "out").glob("kept.*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert (lines[0]["type"], lines[0]["version"], lines[0]["sessionKey"]) == ("session", 4, KEPT)
    assert [line["parentId"] for line in lines[1:]] == [None, *(line["id"] for line in lines[1:-1])]
    assert [line["type"] for line in lines].count("compaction") == 1
    texts = [line["message"]["content"] for line in lines if line.get("message", {}).get("role") == "user"]
    assert texts == ["the first of three", "the second of three", "the third of three"]


def _older(state: Path) -> None:
    (state / "agents" / "main" / "sessions").mkdir(parents=True)
    (state / "agents" / "main" / "sessions" / "a.jsonl").touch()


def _broken(state: Path) -> None:
    (state / "agents" / "main" / "agent").mkdir(parents=True)
    (state / "agents" / "main" / "agent" / "openclaw-agent.sqlite").write_bytes(b"no database " * 100)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: None, "has no agents/main/agent/openclaw-agent.sqlite"),
        (_older, "start upstream's gateway once"),
        (_broken, "cannot be read"),
    ],
)
def test_what_is_no_state_directory_is_refused(
    tmp_path: Path, tenant: Path, prepare: Callable[[Path], None], words: str
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    prepare(state)
    done = take_over(state, tenant)
    assert done.returncode == 1
    assert words in done.stderr
