"""The payloads of `sessions.changed` and `session.message`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenant_gateway.methods.chat import shown_message
from tenant_gateway.methods.session_rows import session_row
from tenant_gateway.storage.sessions import DEFAULT_AGENT, now_ms
from tenant_gateway.storage.transcripts import Entry

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


def changed_event(gateway: Gateway, key: str, reason: str, more: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of `sessions.changed`; upstream repeats the row's members beside `session`."""
    session = gateway.sessions.get(key)
    row = {} if session is None else session_row(gateway, session)
    payload: dict[str, Any] = {
        **row,
        "sessionKey": key,
        "agentId": DEFAULT_AGENT,
        "reason": reason,
        "ts": now_ms(),
        **more,
    }
    if row:
        payload["session"] = row
    return payload


def message_event(gateway: Gateway, key: str, entry: Entry) -> dict[str, Any]:
    """Return the payload of `session.message`."""
    session = gateway.sessions.get(key)
    row = {} if session is None else session_row(gateway, session)
    payload: dict[str, Any] = {
        **row,
        "sessionKey": key,
        "agentId": DEFAULT_AGENT,
        "message": shown_message(entry),
        "messageId": entry.id,
        "messageSeq": entry.seq,
    }
    if entry.message["role"] == "user":
        payload["senderIsOwner"] = True
    if entry.run_id is not None:
        payload["runId"] = entry.run_id
    if row:
        payload["session"] = row
    return payload
