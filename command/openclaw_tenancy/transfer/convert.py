"""Upstream's sessions and transcript events as the native gateway keeps them, and back as JSONL. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tenant_gateway.storage.sessions import Session
from tenant_gateway.storage.transcripts import Entry

from .upstream import Event, UpstreamSession

_SETTINGS = ("label", "displayName", "category", "icon", "color", "thinkingLevel", "verboseLevel", "reasoningLevel")
_STATE = ("createdVia", "status", "startedAt", "endedAt", "runtimeMs", "inputTokens", "outputTokens", "totalTokens")
_ROLES = ("user", "assistant", "toolResult")
_OWN_MEMBERS = ("__openclaw", "openclawDisplayContent", "errorBody", "errorCode", "errorType")


@dataclass(frozen=True, slots=True)
class Converted:
    """A session as the native gateway keeps it."""

    session: Session
    entries: list[Entry]


def convert(source: UpstreamSession) -> Converted:
    """Return a session and its transcript. What only upstream needs (snapshots, model changes) is left out."""
    entries: list[Entry] = []
    numbers: dict[str, int] = {}
    waiting: list[str] = []
    for event in source.events:
        message = _message(event, numbers)
        waiting.append(event.id)
        if message is None:
            continue
        number = len(entries) + 1
        # An event that is left out stands for what comes next, when a compaction keeps "from here on".
        numbers.update(dict.fromkeys(waiting, number))
        waiting.clear()
        meta = event.body.get("message", {}).get("__openclaw", {})
        entries.append(
            Entry(
                source.session_id,
                number,
                event.id,
                meta.get("runId"),
                message.get("idempotencyKey"),
                event.recorded_at,
                message,
            )
        )
    return Converted(_session(source, entries), entries)


def _message(event: Event, numbers: dict[str, int]) -> dict[str, Any] | None:
    if event.type == "compaction":
        return _compaction(event, numbers)
    message = event.body.get("message")
    if event.type != "message" or not isinstance(message, dict) or message.get("role") not in _ROLES:
        return None
    kept = {name: value for name, value in message.items() if name not in _OWN_MEMBERS}
    kept.setdefault("timestamp", event.recorded_at)
    kept.setdefault("content", "")
    clients = message.get("__openclaw", {}).get("transport", {}).get("clients", [])
    if clients:
        kept["sender"] = clients[0]
    if media := message.get("__openclaw", {}).get("media"):
        kept["media"] = media
    if kept["role"] == "assistant":
        if isinstance(kept["content"], str):
            kept["content"] = [{"type": "text", "text": kept["content"]}]
        kept.setdefault("stopReason", "stop")
        failure = kept.pop("errorMessage", None)
        if failure and not kept["content"]:
            kept["content"] = [{"type": "text", "text": f"⚠️ {failure}"}]
    return kept


def _compaction(event: Event, numbers: dict[str, int]) -> dict[str, Any]:
    summary = str(event.body.get("summary", ""))
    kept = numbers.get(str(event.body.get("firstKeptEntryId")), max(numbers.values(), default=0) + 1)
    return {
        "role": "compaction",
        "content": [{"type": "text", "text": summary}],
        "summary": summary,
        "keptFrom": kept,
        "timestamp": event.recorded_at,
    }


def _session(source: UpstreamSession, entries: list[Entry]) -> Session:
    entry = source.entry
    settings = {name: entry[name] for name in _SETTINGS if entry.get(name)}
    for flag in ("archived", "pinned"):
        if entry.get(f"{flag}At") or entry.get(flag):
            settings |= {flag: True, f"{flag}At": entry.get(f"{flag}At") or entry.get("updatedAt")}
    if entry.get("modelOverride"):
        provider = entry.get("providerOverride")
        settings["model"] = f"{provider}/{entry['modelOverride']}" if provider else entry["modelOverride"]
    state = {name: entry[name] for name in _STATE if entry.get(name) is not None}
    state.setdefault("createdVia", "operator")
    if state.get("status") == "running":
        state["status"] = "killed"
    compactions = [entry for entry in entries if entry.message["role"] == "compaction"]
    if compactions:
        state |= {"compactionCount": len(compactions), "viewFrom": compactions[-1].message["keptFrom"]}
    updated = int(entry.get("updatedAt") or 0)
    return Session(
        source.key,
        source.session_id,
        int(entry.get("createdAt") or entry.get("sessionStartedAt") or updated),
        updated,
        int(entry.get("lastInteractionAt") or updated),
        settings,
        state,
    )


def jsonl(session: Session, entries: list[Entry], cwd: str) -> Iterator[dict[str, Any]]:
    """Yield a transcript's lines in upstream's form: the session first, then each message with the one before it."""
    yield {
        "type": "session",
        "version": 4,
        "id": session.session_id,
        "timestamp": _iso(session.created_at),
        "cwd": cwd,
        "sessionKey": session.key,
    }
    ids = {entry.seq: entry.id for entry in entries}
    before = None
    for entry in entries:
        line = {"id": entry.id, "parentId": before, "timestamp": _iso(entry.recorded_at)}
        before = entry.id
        if entry.message["role"] == "compaction":
            kept = {"firstKeptEntryId": ids.get(entry.message["keptFrom"])}
            yield {"type": "compaction", **line, "summary": entry.message["summary"], **kept}
            continue
        message = dict(entry.message)
        meta: dict[str, Any] = {"runId": entry.run_id} if entry.run_id else {}
        if sender := message.pop("sender", None):
            meta["transport"] = {"clients": [sender]}
        if media := message.pop("media", None):
            meta["media"] = media
        yield {"type": "message", **line, "message": {**message, **({"__openclaw": meta} if meta else {})}}


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
