"""`sessions.*` that read: list, describe, resolve, get, preview, subscribe."""

from __future__ import annotations

from typing import Any, Final

from tenant_gateway.methods.chat import shown_message
from tenant_gateway.methods.registry import Call, RequestError
from tenant_gateway.methods.session_rows import defaults, session_row
from tenant_gateway.storage.sessions import DEFAULT_AGENT, MAIN_KEY, Session, canonical_key, now_ms

_DEFAULT_LIMIT: Final = 100
_PREVIEW_ITEMS: Final = 12
_PREVIEW_CHARS: Final = 240


def list_sessions(call: Call) -> dict[str, Any]:
    """`sessions.list`: the last changed first, archived ones only when asked for."""
    gateway = call.gateway
    limit = call.number("limit", _DEFAULT_LIMIT, 1)
    offset = call.number("offset", 0)
    found = _filtered(call)
    page = found[offset : offset + limit]
    more = offset + len(page) < len(found)
    titles, last = call.flag("includeDerivedTitles"), call.flag("includeLastMessage")
    return {
        "ts": now_ms(),
        "path": str(gateway.settings.database),
        "count": len(page),
        "totalCount": len(found),
        "limitApplied": limit,
        "nextOffset": offset + len(page) if more else None,
        "hasMore": more,
        "owners": [],
        "defaults": defaults(gateway),
        "sessions": [_listed(call, session, titles, last) for session in page],
    }


def _filtered(call: Call) -> list[Session]:
    found = call.gateway.sessions.all()
    archived = call.params.get("archived")
    if archived != "all":
        found = [session for session in found if bool(session.settings.get("archived")) == bool(archived)]
    if minutes := call.number("activeMinutes", 0):
        since = now_ms() - minutes * 60_000
        found = [session for session in found if session.updated_at >= since]
    if label := call.text("label"):
        found = [session for session in found if session.settings.get("label") == label]
    if search := call.text("search").lower():
        found = [session for session in found if search in f"{session.key} {session.settings.get('label', '')}".lower()]
    if call.text("sortBy") == "lastInteractionAt":
        found.sort(key=lambda session: -session.interacted_at)
    return sorted(found, key=lambda session: not session.settings.get("pinned"))


def _listed(call: Call, session: Session, titles: bool, last: bool) -> dict[str, Any]:
    row = session_row(call.gateway, session)
    if titles and session.key != MAIN_KEY and "displayName" not in row and (title := _derived_title(call, session)):
        row["derivedTitle"] = title
    if last and (preview := _last_text(call, session)):
        row["lastMessagePreview"] = preview
    return row


def _derived_title(call: Call, session: Session) -> str:
    for entry in call.gateway.transcripts.since(session.session_id, 0):
        if entry.message["role"] == "user":
            return _shorten(_text(entry.message), 60)
    return ""


def _last_text(call: Call, session: Session) -> str:
    for entry in reversed(call.gateway.transcripts.latest(session.session_id, 5)):
        if entry.message["role"] in ("user", "assistant") and (text := _text(entry.message)):
            return _shorten(text, _PREVIEW_CHARS)
    return ""


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if part.get("type") == "text")


def _shorten(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 3]}..."


def describe(call: Call) -> dict[str, Any]:
    """`sessions.describe`: one session; null when there is none."""
    session = call.gateway.sessions.get(canonical_key(call.required("key")))
    return {"session": None if session is None else session_row(call.gateway, session)}


def resolve(call: Call) -> dict[str, Any]:
    """`sessions.resolve`: the full key for a key, a session id or a label."""
    sessions = call.gateway.sessions
    wanted = call.text("key") or call.text("sessionId") or call.text("label")
    if not wanted:
        raise RequestError("Either key, sessionId, label, or shortId is required")
    session = sessions.get(canonical_key(wanted)) if call.text("key") else None
    session = session or sessions.by_session_id(wanted)
    if session is None:
        named = [candidate for candidate in sessions.all() if candidate.settings.get("label") == wanted]
        session = named[0] if len(named) == 1 else None
    if session is None:
        raise RequestError(f"No session found: {wanted}")
    return {"ok": True, "key": session.key, "agentId": DEFAULT_AGENT}


def get(call: Call) -> dict[str, Any]:
    """`sessions.get`: the messages of a session."""
    session = call.gateway.sessions.get(canonical_key(call.required("key")))
    if session is None:
        return {"messages": []}
    limit = call.number("limit", 200, 1, 1000)
    entries = call.gateway.transcripts.latest(session.session_id, limit)
    return {"messages": [shown_message(entry) for entry in entries]}


def preview(call: Call) -> dict[str, Any]:
    """`sessions.preview`: the last words of some sessions."""
    keys = call.params.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise call.invalid("must have required property 'keys'" if keys is None else "at /keys: must be array")
    limit = call.number("limit", _PREVIEW_ITEMS, 1, 100)
    chars = call.number("maxChars", _PREVIEW_CHARS, 20, 2000)
    return {"ts": now_ms(), "previews": [_preview(call, key, limit, chars) for key in keys[:64]]}


def _preview(call: Call, key: str, limit: int, chars: int) -> dict[str, Any]:
    session = call.gateway.sessions.get(canonical_key(key))
    items = []
    if session is not None:
        for entry in call.gateway.transcripts.latest(session.session_id, limit * 2):
            role = entry.message["role"]
            if role in ("user", "assistant") and (text := _text(entry.message)):
                items.append({"role": role, "text": text if len(text) <= chars else f"{text[: chars - 3]}..."})
    return {"key": key, "status": "ok" if items else "empty", "items": items[-limit:]}


def subscribe(call: Call) -> dict[str, Any]:
    """`sessions.subscribe`: `sessions.changed` and `session.message` of all sessions from now on."""
    call.client.watches_sessions = True
    return {"subscribed": True}


def messages_subscribe(call: Call) -> dict[str, Any]:
    """`sessions.messages.subscribe`: `session.message` of one session from now on."""
    key = canonical_key(call.required("key"))
    call.client.watch(key)
    return {"subscribed": True, "key": key}


def messages_unsubscribe(call: Call) -> dict[str, Any]:
    """`sessions.messages.unsubscribe`."""
    key = canonical_key(call.required("key"))
    call.client.watched_keys.discard(key)
    return {"subscribed": False, "key": key}


def viewers_set(call: Call) -> dict[str, Any]:
    """`sessions.viewers.set`: who looks at a session. One tenant is one person, so nobody is told."""
    if "sessionKeys" not in call.params:
        raise call.invalid("must have required property 'sessionKeys'")
    keys = call.params["sessionKeys"]
    return {
        "sessionKeys": [canonical_key(key) for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    }


def groups_list(call: Call) -> dict[str, Any]:
    """`sessions.groups.list`: the categories that sessions were put into."""
    names = {session.settings.get("category") for session in call.gateway.sessions.all()}
    groups = sorted(name for name in names if isinstance(name, str) and name)
    return {
        "groups": [{"name": name, "position": position} for position, name in enumerate(groups)],
        "sectionOrder": [],
    }


def search(call: Call) -> dict[str, Any]:
    """`sessions.search`: messages that hold a text, the latest first."""
    query = call.required("query")
    limit = call.number("limit", 20, 1, 100)
    results = []
    for session in call.gateway.sessions.all():
        for entry in call.gateway.transcripts.containing(session.session_id, query, limit):
            text = _text(entry.message)
            at = text.lower().find(query.lower())
            if at < 0:
                continue
            results.append(
                {
                    "sessionKey": session.key,
                    "sessionId": session.session_id,
                    "agentId": DEFAULT_AGENT,
                    "messageId": entry.id,
                    "role": entry.message["role"],
                    "timestamp": entry.recorded_at,
                    "snippet": text[max(0, at - 80) : at + 160],
                }
            )
            if len(results) == limit:
                return {"results": results}
    return {"results": results}
