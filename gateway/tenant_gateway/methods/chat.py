"""`chat.history` and `chat.abort`."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from tenant_gateway.agent.thinking import thinking_default
from tenant_gateway.methods.registry import Call
from tenant_gateway.methods.session_rows import defaults, session_model, session_row
from tenant_gateway.storage.sessions import Session, canonical_key
from tenant_gateway.storage.transcripts import Entry

_DEFAULT_LIMIT: Final = 200
_MAX_LIMIT: Final = 1000


def history(call: Call) -> dict[str, Any]:
    """`chat.history`: the last messages, and whether a run is under way."""
    gateway = call.gateway
    key = canonical_key(call.required("sessionKey"))
    limit = call.number("limit", _DEFAULT_LIMIT, 1, _MAX_LIMIT)
    offset = call.number("offset", 0)
    session = gateway.sessions.get(key)
    if session is None:
        absent = Session(key, "", 0, 0, 0, {}, {})
        row = session_row(gateway, absent)
        del row["sessionId"], row["createdAt"], row["lastInteractionAt"]
        return {
            "sessionKey": call.text("sessionKey"),
            "messages": [],
            "pendingInputs": {"items": [], "total": 0},
            "hasMore": False,
            "totalMessages": 0,
            "defaults": defaults(gateway),
            "sessionInfo": {**row, "updatedAt": None, "activeLeafEntryId": None},
        }
    entries = gateway.transcripts.latest(session.session_id, limit, offset)
    total = gateway.transcripts.count(session.session_id)
    answer: dict[str, Any] = {
        "sessionKey": call.text("sessionKey"),
        "sessionId": session.session_id,
        "messages": [shown_message(entry) for entry in entries],
        "activity": _activity(entries),
        "pendingInputs": _pending(call, key),
        "deltaCursor": _cursor(session, entries[-1].seq if entries else 0),
        "hasMore": offset + len(entries) < total,
        "totalMessages": total,
        "defaults": defaults(gateway),
        "thinkingLevel": session.settings.get("thinkingLevel") or thinking_default(session_model(gateway, session)),
        "sessionInfo": session_row(gateway, session),
    }
    if answer["hasMore"]:
        answer["nextOffset"] = offset + len(entries)
    if entries:
        answer["sessionInfo"]["activeLeafEntryId"] = entries[-1].id
    run = gateway.lanes.active(key) if gateway.active_runs else None
    if run is not None:
        answer["inFlightRun"] = {
            "runId": run.id,
            "text": run.reply,
            "startedAt": run.started_at or run.message["timestamp"],
            "events": [],
        }
    return answer


def _activity(entries: list[Entry]) -> list[dict[str, Any]]:
    """Tell of the tool calls in messages, beside the messages."""
    failed = {
        entry.message["toolCallId"]: entry.message["isError"] for entry in entries if "toolCallId" in entry.message
    }
    activity = []
    for entry in entries:
        content = entry.message.get("content")
        calls = [part for part in content if part.get("type") == "toolCall"] if isinstance(content, list) else []
        items = [_item(part["id"], part["name"], failed.get(part["id"])) for part in calls]
        if "toolCallId" in entry.message:
            items = [_item(entry.message["toolCallId"], entry.message["toolName"], entry.message["isError"])]
        if items:
            activity.append({"messageId": entry.id, "items": items})
    return activity


def _item(call_id: str, name: str, failed: bool | None) -> dict[str, Any]:
    return {
        "itemId": f"tool:{call_id}",
        "toolCallId": call_id,
        "name": name,
        "kind": "command" if name == "exec" else "tool",
        "phase": "start" if failed is None else "end",
        "title": name.capitalize(),
        "status": "running" if failed is None else "failed" if failed else "completed",
        "commandBearing": name == "exec",
    }


def shown_message(entry: Entry) -> dict[str, Any]:
    """Return a message as clients see it: the transcript's, with `__openclaw` beside it."""
    message = dict(entry.message)
    meta: dict[str, Any] = {}
    if message["role"] == "compaction":
        shown = {"role": "system", "content": [{"type": "text", "text": "Compaction"}], "timestamp": entry.recorded_at}
        return {**shown, "__openclaw": {"kind": "compaction", "id": entry.id, "seq": entry.seq}}
    sender = message.pop("sender", None)
    if media := message.pop("media", None):
        meta["media"] = media
    if message["role"] == "user":
        meta["senderIsOwner"] = True
        if sender:
            meta["transport"] = {"clients": [sender]}
    elif entry.run_id is not None:
        meta["runId"] = entry.run_id
    meta["id"] = entry.id
    if entry.idempotency_key:
        meta["idempotencyKey"] = entry.idempotency_key
    meta["recordTimestampMs"] = entry.recorded_at
    meta["seq"] = entry.seq
    message["__openclaw"] = meta
    return message


def _pending(call: Call, key: str) -> dict[str, Any]:
    waiting = call.gateway.lanes.waiting(key) if call.gateway.active_runs else []
    items = [
        {
            "id": run.id,
            "acceptedAt": run.message["timestamp"],
            "state": "queued",
            "message": {
                "role": "user",
                "content": run.message["content"],
                "timestamp": run.message["timestamp"],
                "__openclaw": {"senderIsOwner": True, "id": f"pending:{run.id}"},
            },
            "runId": run.id,
        }
        for run in waiting
    ]
    return {"items": items, "total": len(items)}


def _cursor(session: Session, seq: int) -> str:
    value = {"agentId": "main", "lastSeq": seq, "sessionId": session.session_id, "version": 1}
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def abort(call: Call) -> dict[str, Any]:
    """`chat.abort`: one run, or all of a session, the waiting ones first."""
    gateway = call.gateway
    key = canonical_key(call.required("sessionKey"))
    wanted = call.text("runId")
    if not gateway.active_runs:
        return {"ok": True, "aborted": False, "runIds": []}
    lanes = gateway.lanes
    active = lanes.active(key)
    runs = [*lanes.waiting(key), *([] if active is None else [active])]
    if wanted:
        runs = [run for run in runs if run.id == wanted]
    for run in runs:
        lanes.abort(run, "rpc")
    return {"ok": True, "aborted": bool(runs), "runIds": [run.id for run in runs]}
