"""Sessions and files that move: what is converted, what is kept, what is never followed or overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from openclaw_tenancy.transfer import tenant_state
from openclaw_tenancy.transfer.convert import Converted, convert, jsonl
from openclaw_tenancy.transfer.upstream import Event, UpstreamSession


def message(number: int, role: str, content: Any, **more: Any) -> Event:
    body = {"type": "message", "id": f"e{number}", "message": {"role": role, "content": content, **more}}
    return Event(f"e{number}", 1000 + number, body)


def other(number: int, kind: str, **more: Any) -> Event:
    return Event(f"e{number}", 1000 + number, {"type": kind, "id": f"e{number}", **more})


def session(*events: Event, key: str = "agent:main:main", **entry: Any) -> UpstreamSession:
    return UpstreamSession(key, f"id-of-{key}", {"createdAt": 1, "updatedAt": 2, **entry}, list(events))


def test_what_only_upstream_needs_is_left_out_and_a_compaction_keeps_its_place() -> None:
    converted = convert(
        session(
            message(1, "user", "one", idempotencyKey="k:user", __openclaw={"transport": {"clients": [{"id": "cli"}]}}),
            other(2, "custom", customType="model-snapshot"),
            message(3, "assistant", [{"type": "text", "text": "1"}], __openclaw={"runId": "k"}),
            other(4, "thinking_level_change", thinkingLevel="off"),
            message(5, "user", "two"),
            other(6, "compaction", summary="they counted", firstKeptEntryId="e4"),
            message(7, "assistant", [{"type": "text", "text": "2"}]),
        )
    )
    assert [(entry.seq, entry.message["role"]) for entry in converted.entries] == [
        (1, "user"),
        (2, "assistant"),
        (3, "user"),
        (4, "compaction"),
        (5, "assistant"),
    ]
    first, answer, kept, compaction, _ = converted.entries
    assert (first.idempotency_key, first.message["sender"]) == ("k:user", {"id": "cli"})
    assert answer.run_id == "k"
    # e4 is left out; the first message that stays is the one behind it.
    assert compaction.message["keptFrom"] == kept.seq
    assert converted.session.state["viewFrom"] == kept.seq
    lines = list(jsonl(converted.session, converted.entries, "/w"))
    assert [line["type"] for line in lines] == ["session", "message", "message", "message", "compaction", "message"]
    assert lines[4]["firstKeptEntryId"] == kept.id


def test_settings_and_a_run_that_had_not_ended() -> None:
    source = session(label="Garden", pinnedAt=5, modelOverride="m", providerOverride="p", status="running", icon="")
    kept = convert(source).session
    assert kept.settings == {"label": "Garden", "pinned": True, "pinnedAt": 5, "model": "p/m"}
    assert kept.state["status"] == "killed"


def test_forks_share_messages_and_a_second_import_adds_nothing(tmp_path: Path) -> None:
    events = [message(1, "user", "one", idempotencyKey="k:user"), message(2, "assistant", [])]
    found = [convert(session(*events)), convert(session(*events, key="agent:main:fork"))]
    assert tenant_state.add_sessions(tmp_path, found).messages == 4
    again = tenant_state.add_sessions(tmp_path, found)
    assert (again.sessions, again.kept) == (0, ["agent:main:main", "agent:main:fork"])
    read = {
        kept.key: [entry.message["role"] for entry in entries] for kept, entries in tenant_state.read_sessions(tmp_path)
    }
    assert read == {"agent:main:main": ["user", "assistant"], "agent:main:fork": ["user", "assistant"]}


def test_all_sessions_come_or_none(tmp_path: Path) -> None:
    good = convert(session(message(1, "user", "one")))
    bad = convert(session(message(2, "user", "two"), key="agent:main:bad"))
    bad = Converted(bad.session, [bad.entries[0], bad.entries[0]])
    with pytest.raises(tenant_state.NotNative):
        tenant_state.add_sessions(tmp_path, [good, bad])
    assert list(tenant_state.read_sessions(tmp_path)) == []


def test_a_volume_in_use_is_left_alone(tmp_path: Path) -> None:
    with tenant_state.owned(tmp_path), pytest.raises(tenant_state.InUse), tenant_state.owned(tmp_path):
        pass
    with tenant_state.owned(tmp_path):
        pass


def test_files_come_over_and_nothing_is_lost(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for folder in (source / "memory", target, outside):
        folder.mkdir(parents=True)
    (source / "SOUL.md").write_text("theirs")
    (source / "same.md").write_text("same")
    (source / "memory" / "day.md").write_text("a day")
    (source / "link").symlink_to(outside)
    os.mkfifo(source / "pipe")
    (target / "SOUL.md").write_text("ours")
    (target / "same.md").write_text("same")
    (target / "memory").symlink_to(outside)
    assert tenant_state.copy_workspace(source, target) == 3
    assert (target / "SOUL.md").read_text() == "theirs"
    assert (target / "SOUL.md.before-import").read_text() == "ours"
    assert (target / "memory" / "day.md").read_text() == "a day"
    assert list(outside.iterdir()) == []
    assert (target / "link").is_symlink()
    assert not (target / "pipe").exists()
    assert tenant_state.copy_workspace(source, target) == 0
    (target / "SOUL.md").write_text("ours again")
    assert tenant_state.copy_workspace(source, target) == 1
    assert (target / "SOUL.md.before-import").read_text() == "ours"
    assert (target / "SOUL.md.before-import-2").read_text() == "ours again"
