"""What upstream's gateway keeps in its state directory: sessions and transcripts of its main agent, read only.

Source: `agents/main/agent/openclaw-agent.sqlite` of OpenClaw 2026.9.6 (schema 23): `session_nodes`, `transcript_events`
(JSON, large ones compressed) and `session_transcript_active_events`, the branch of a transcript that is shown.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard

AGENT = "main"
NEWEST_SCHEMA = 23
_MAX_EVENT = 4 * 2**20
"""Bytes of one event; upstream's own bound."""


class NotUpstream(Exception):
    """A folder that is no state directory of upstream's, or one that this program does not understand; says which."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a transcript."""

    id: str
    recorded_at: int
    """Milliseconds since 1970."""
    body: dict[str, Any]

    @property
    def type(self) -> str:
        """`message`, `compaction`, or what only upstream needs."""
        return str(self.body.get("type"))


@dataclass(frozen=True, slots=True)
class UpstreamSession:
    """A session and the branch of its transcript that clients are shown."""

    key: str
    session_id: str
    entry: dict[str, Any]
    """What `sessions.list` is made of: label, createdAt, modelOverride, status, …."""
    events: list[Event] = field(default_factory=list)


def database(state: Path) -> Path:
    """Return where the main agent's sessions are."""
    return state / "agents" / AGENT / "agent" / "openclaw-agent.sqlite"


def other_agents(state: Path) -> list[str]:
    """Return the agents beside the main one; a native gateway has one agent only."""
    return sorted(folder.name for folder in (state / "agents").glob("*") if folder.is_dir() and folder.name != AGENT)


def read_sessions(state: Path) -> list[UpstreamSession]:
    """Return all sessions of the main agent.

    Raises
    ------
    NotUpstream
        See there.
    """
    path = database(state)
    if not path.is_file():
        older = " (its sessions are still JSONL files: start upstream's gateway once, it moves them itself)"
        has_older = any((state / "agents" / AGENT / "sessions").glob("*.jsonl"))
        raise NotUpstream(f"{state} has no {path.relative_to(state)}{older if has_older else ''}")
    try:
        # Read only, but not "immutable": what lies in the write-ahead log belongs to it.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > NEWEST_SCHEMA:
                raise NotUpstream(f"{path} has schema {version}, known are those up to {NEWEST_SCHEMA}")
            rows = connection.execute(
                "SELECT session_key, current_session_id, entry_json FROM session_nodes ORDER BY session_key"
            ).fetchall()
            return [
                UpstreamSession(key, session_id, json.loads(entry), list(_events(connection, session_id)))
                for key, session_id, entry in rows
            ]
    except (sqlite3.Error, ValueError) as error:
        raise NotUpstream(f"{path} cannot be read: {error}") from error


def _events(connection: sqlite3.Connection, session_id: str) -> Iterator[Event]:
    rows = connection.execute(
        "SELECT events.event_json, events.event_zstd, events.created_at FROM session_transcript_active_events AS active"
        " JOIN transcript_events AS events ON events.session_id = active.session_id AND events.seq = active.event_seq"
        " WHERE active.session_id = ? ORDER BY active.active_position",
        (session_id,),
    ).fetchall()
    decompressor = zstandard.ZstdDecompressor()
    for text, compressed, created_at in rows:
        raw = text if text is not None else decompressor.decompress(compressed, max_output_size=_MAX_EVENT)
        body = json.loads(raw)
        yield Event(str(body.get("id", "")), _milliseconds(body.get("timestamp"), created_at), body)


def _milliseconds(timestamp: object, otherwise: int) -> int:
    try:
        return int(datetime.fromisoformat(str(timestamp)).timestamp() * 1000)
    except ValueError:
        return otherwise
