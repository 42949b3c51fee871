"""`chat.inject` and `chat.message.get`."""

from __future__ import annotations

from typing import Any

from tenant_gateway.methods.chat import shown_message
from tenant_gateway.methods.registry import Call, RequestError
from tenant_gateway.storage.sessions import DEFAULT_AGENT, canonical_key, now_ms


def inject(call: Call) -> dict[str, Any]:
    """`chat.inject`: put a message of the assistant's into a session without a run."""
    gateway = call.gateway
    key = canonical_key(call.required("sessionKey"))
    message = call.required("message")
    session = gateway.sessions.get(key)
    if session is None:
        raise RequestError("session not found")
    label = call.text("label")
    record: dict[str, Any] = {
        "role": "assistant",
        "content": [{"type": "text", "text": f"[{label}]\n\n{message}" if label else message}],
        "timestamp": now_ms(),
        "stopReason": "stop",
        "usage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 0},
        "api": "openai-responses",
        "provider": "openclaw",
        "model": "gateway-injected",
    }
    entry = gateway.transcripts.append(session.session_id, record)
    payload = {"runId": f"inject-{entry.id}", "sessionKey": key, "agentId": DEFAULT_AGENT, "seq": 0}
    gateway.broadcast("chat", {**payload, "state": "final", "message": record})
    gateway.tell_message(key, entry)
    return {"ok": True, "messageId": entry.id}


def message_get(call: Call) -> dict[str, Any]:
    """`chat.message.get`: one message, whole."""
    session = call.gateway.sessions.get(canonical_key(call.required("sessionKey")))
    entry = call.gateway.transcripts.by_id(call.required("messageId"))
    if entry is None or session is None or entry.session_id != session.session_id:
        return {"ok": False, "unavailableReason": "not_found"}
    return {"ok": True, "message": shown_message(entry)}
