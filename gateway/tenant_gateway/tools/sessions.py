"""`sessions_list`, `sessions_history`, `sessions_send`: other conversations of the same tenant."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

from tenant_gateway.methods.registry import RequestError
from tenant_gateway.storage.sessions import canonical_key
from tenant_gateway.tools.base import Arguments, Result, Tool, ToolContext, ToolError, cut, number, text

_MAX_LISTED: Final = 50


async def sessions_list(context: ToolContext, arguments: Arguments) -> Result:
    """List sessions, the last changed first."""
    limit = number(arguments, "limit", 20, 1, _MAX_LISTED)
    lines = []
    for session in context.gateway.sessions.all()[:limit]:
        label = session.settings.get("label")
        lines.append(f"{session.key}{f' ({label})' if label else ''}: {session.state.get('status', 'new')}")
    return Result("\n".join(lines) or "No sessions")


async def sessions_history(context: ToolContext, arguments: Arguments) -> Result:
    """Show the last messages of a session."""
    key = canonical_key(text(arguments, "sessionKey"))
    session = context.gateway.sessions.get(key)
    if session is None:
        raise ToolError(f"no session {key}")
    entries = context.gateway.transcripts.latest(session.session_id, number(arguments, "limit", 20, 1, 200))
    lines = [f"{entry.message['role']}: {_plain(entry.message.get('content'))}" for entry in entries]
    return Result(cut("\n".join(lines)) or "No messages")


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") or f"[{part.get('type')}]" for part in content if isinstance(part, dict)]
    return " ".join(str(part) for part in parts)


async def sessions_send(context: ToolContext, arguments: Arguments) -> Result:
    """Send a message to another session and, with a timeout, wait for its answer."""
    from tenant_gateway.agent.accept import accept

    key = canonical_key(text(arguments, "sessionKey"))
    if key == context.session_key:
        raise ToolError("that is this session")
    message = text(arguments, "message")
    sender = {"id": "agent", "mode": "backend", "displayName": context.session_key}
    try:
        run = accept(
            context.gateway, key, str(uuid.uuid4()), message, method="sessions_send", options={}, sender=sender
        )
    except RequestError as error:
        raise ToolError(str(error)) from None
    seconds = number(arguments, "timeoutSeconds", 30, 0, 600)
    done, _ = await asyncio.wait([run.outcome], timeout=seconds)
    if not done:
        return Result("Sent; there is no answer yet", {"runId": run.id, "status": "accepted"})
    outcome = run.outcome.result()
    if outcome.get("status") != "ok":
        raise ToolError(f"the other session failed: {outcome.get('error') or outcome.get('summary')}")
    return Result(cut(outcome["terminalReply"]["text"]) or "(no answer)", {"runId": run.id, "status": "ok"})


_KEY: Final = {"type": "string", "description": "Key of the session"}

TOOLS: Final = (
    Tool(
        "sessions_list",
        "sessions",
        "Sessions",
        "List the conversations of this user.",
        {"limit": {"type": "number"}},
        (),
        sessions_list,
    ),
    Tool(
        "sessions_history",
        "sessions",
        "Session history",
        "Show the last messages of another conversation.",
        {"sessionKey": _KEY, "limit": {"type": "number"}},
        ("sessionKey",),
        sessions_history,
        ("sessionKey",),
    ),
    Tool(
        "sessions_send",
        "sessions",
        "Session send",
        "Send a message to another conversation; its agent answers.",
        {
            "sessionKey": _KEY,
            "message": {"type": "string"},
            "timeoutSeconds": {"type": "number", "description": "How long to wait for the answer; 0 does not wait"},
        },
        ("sessionKey", "message"),
        sessions_send,
        ("sessionKey",),
    ),
)
