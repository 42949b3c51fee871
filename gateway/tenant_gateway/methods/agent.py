"""`agent` and `agent.wait`."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tenant_gateway.agent.accept import accept
from tenant_gateway.methods.chat_send import take_files
from tenant_gateway.methods.dispatch import check_phase
from tenant_gateway.methods.registry import ADMIN, Call, RequestError, require_scope
from tenant_gateway.storage.sessions import DEFAULT_AGENT, MAIN_KEY, canonical_key, now_ms

_MAX_WAIT_MS: Final = 24 * 3600 * 1000
_DEFAULT_WAIT_MS: Final = 30_000


async def agent(call: Call) -> dict[str, Any]:
    """`agent`: answers twice under one id, `accepted` and then the outcome."""
    message = call.required("message")
    run_id = call.required("idempotencyKey")
    key = _session_key(call)
    media = []
    if call.params.get("attachments") and call.gateway.runs.get(run_id) is None:
        media = await take_files(call)
        check_phase(call.gateway, call.method)  # as when it came: meanwhile the gateway may have been told to sleep
    record = call.gateway.runs.get(run_id)
    if record is not None:
        live = call.gateway.lanes.get(run_id) if call.gateway.active_runs else None
        if live is None:
            return _final(run_id, record.outcome or {"status": record.status, "summary": "interrupted"})
        return {"runId": run_id, "status": "in_flight"}
    if call.params.get("model") is not None:
        require_scope(ADMIN, call.client.identity.scopes)
    options: dict[str, Any] = {}
    for name in ("thinking", "extraSystemPrompt", "promptMode", "model"):
        if value := call.text(name):
            options[name] = value
    if provider := call.text("provider"):
        options["model"] = f"{provider}/{options.get('model', '')}"
    if (seconds := call.number("timeout", 0)) > 0:
        options["timeoutMs"] = seconds * 1000
    sender = call.client.describe()
    run = accept(call.gateway, key, run_id, message, method=call.method, options=options, sender=sender, media=media)
    accepted_at = now_ms()
    call.respond(
        {
            "runId": run_id,
            "sessionKey": key,
            "sessionId": run.session_id,
            "agentId": DEFAULT_AGENT,
            "status": "accepted",
            "acceptedAt": accepted_at,
        }
    )
    # Shielded: a client that leaves ends its wait, not the run.
    return _final(run_id, await asyncio.shield(run.outcome), run.session_id)


def _session_key(call: Call) -> str:
    agent_id = call.text("agentId").lower()
    if agent_id and agent_id != DEFAULT_AGENT:
        raise RequestError(f'unknown agent id "{agent_id}"')
    if key := call.text("sessionKey"):
        return canonical_key(key)
    if session_id := call.text("sessionId"):
        session = call.gateway.sessions.by_session_id(session_id)
        return f"agent:{DEFAULT_AGENT}:explicit:{session_id}" if session is None else session.key
    if to := call.text("to"):
        return canonical_key(f"direct:{to}")
    return MAIN_KEY


def _final(run_id: str, outcome: dict[str, Any], session_id: str | None = None) -> dict[str, Any]:
    status = outcome.get("status", "error")
    text = (outcome.get("terminalReply") or {}).get("text", "")
    started, ended = outcome.get("startedAt") or 0, outcome.get("endedAt") or 0
    final: dict[str, Any] = {
        "runId": run_id,
        "status": status,
        "summary": "completed" if status == "ok" else outcome.get("error") or outcome.get("summary") or status,
        "result": {
            "payloads": [{"text": text, "mediaUrl": None}] if text else [],
            "meta": {
                "durationMs": max(0, ended - started),
                "aborted": bool(outcome.get("aborted")),
                "stopReason": outcome.get("stopReason", "stop"),
                "agentMeta": {
                    "sessionId": session_id,
                    "provider": outcome.get("provider"),
                    "model": outcome.get("model"),
                    "usage": outcome.get("usage"),
                },
            },
        },
    }
    if status == "error":
        final["error"] = outcome.get("error") or outcome.get("summary") or "failed"
    return final


async def wait(call: Call) -> dict[str, Any]:
    """`agent.wait`: the outcome of a run, or `timeout` when it has not ended by then."""
    run_id = call.required("runId")
    timeout = call.number("timeoutMs", _DEFAULT_WAIT_MS, 0, _MAX_WAIT_MS)
    gateway = call.gateway
    run = gateway.lanes.get(run_id) if gateway.active_runs else None
    if run is None:
        record = gateway.runs.get(run_id)
        if record is None or record.outcome is None:
            return {"runId": run_id, "status": "timeout"}
        return _waited(run_id, record.outcome)
    done, _ = await asyncio.wait([run.outcome], timeout=timeout / 1000)
    return _waited(run_id, run.outcome.result()) if done else {"runId": run_id, "status": "timeout"}


def _waited(run_id: str, outcome: dict[str, Any]) -> dict[str, Any]:
    names = ("status", "startedAt", "endedAt", "error", "stopReason", "terminalReply", "aborted")
    return {"runId": run_id, **{name: outcome[name] for name in names if outcome.get(name) is not None}}
