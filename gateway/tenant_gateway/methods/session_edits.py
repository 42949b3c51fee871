"""`sessions.*` that change: create, send, abort, patch, reset, delete, compact."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable
from typing import Any, Final

from tenant_gateway.agent.accept import accept
from tenant_gateway.agent.models import Model, UnknownModel, find_model, primary_model
from tenant_gateway.agent.thinking import thinking_levels
from tenant_gateway.methods.chat_send import known_run, take
from tenant_gateway.methods.registry import Call, RequestError
from tenant_gateway.methods.session_rows import session_model
from tenant_gateway.storage.database import transaction
from tenant_gateway.storage.sessions import DEFAULT_AGENT, MAIN_KEY, Session, canonical_key, now_ms

_TEXTS: Final = (
    "label",
    "displayName",
    "category",
    "icon",
    "color",
    "verboseLevel",
    "reasoningLevel",
    "responseUsage",
    "elevatedLevel",
    "sendPolicy",
    "queueMode",
)
_DATED: Final = ("archived", "pinned")
"""Flags of which is also told since when."""
_FLAGS: Final = ("archived", "pinned", "unread", "fastMode")


def create(call: Call) -> dict[str, Any]:
    """`sessions.create`: a new session, and its first message when there is one."""
    gateway = call.gateway
    key = canonical_key(call.text("key")) if call.text("key") else f"agent:{DEFAULT_AGENT}:dashboard:{uuid.uuid4()}"
    settings: dict[str, Any] = {}
    _apply(call, settings)
    session = gateway.sessions.get(key)
    if session is None:
        session = gateway.sessions.create(key, settings)
    gateway.tell_session(key, "create")
    answer: dict[str, Any] = {
        "ok": True,
        "key": key,
        "sessionId": session.session_id,
        "entry": _entry(session),
        "runStarted": False,
        "resolved": _resolved(call, session),
    }
    message = call.params.get("message") or call.params.get("task")
    if isinstance(message, str) and message.strip():
        run_id = call.text("idempotencyKey") or str(uuid.uuid4())
        accept(gateway, key, run_id, message, method=call.method, options={}, sender=call.client.describe())
        answer.update(runStarted=True, runId=run_id, status="started")
    return answer


def send(call: Call) -> dict[str, Any] | Awaitable[dict[str, Any]]:
    """`sessions.send`: as `chat.send`, for a session that is there."""
    key = canonical_key(call.required("key"))
    message = call.required("message")
    run_id = call.text("idempotencyKey") or str(uuid.uuid4())
    if (known := known_run(call, run_id)) is not None:
        return known
    if call.gateway.sessions.get(key) is None:
        raise RequestError(f"session not found: {key}")
    options = {name: call.params[name] for name in ("thinking", "timeoutMs") if call.params.get(name) is not None}
    return take(call, key, run_id, message, options)


def abort(call: Call) -> dict[str, Any]:
    """`sessions.abort`: stop a run, or all of a session."""
    gateway = call.gateway
    run_id = call.text("runId")
    key = canonical_key(call.text("key")) if call.text("key") else ""
    if not key and not run_id:
        raise call.invalid("must have required property 'key'")
    stopped = None
    if gateway.active_runs:
        lanes = gateway.lanes
        if run_id:
            run = lanes.get(run_id)
            runs = [] if run is None else [run]
        else:
            active = lanes.active(key)
            runs = [*lanes.waiting(key), *([] if active is None else [active])]
        for run in runs:
            lanes.abort(run, "rpc")
            stopped = run.id
    return {"ok": True, "abortedRunId": stopped, "status": "aborted" if stopped else "no-active-run"}


def patch(call: Call) -> dict[str, Any]:
    """`sessions.patch`: change what a user sets of a session; null takes a setting back."""
    gateway = call.gateway
    key = canonical_key(call.required("key"))
    existing = gateway.sessions.get(key)
    settings = dict(existing.settings) if existing else {}
    _apply(call, settings)
    session = existing or gateway.sessions.create(key, settings)
    session.settings = settings
    gateway.sessions.touch(session)
    gateway.sessions.save(session)
    gateway.tell_session(key, "patch")
    return {
        "ok": True,
        "path": str(gateway.settings.database),
        "key": key,
        "entry": _entry(session),
        "resolved": _resolved(call, session),
    }


def _apply(call: Call, settings: dict[str, Any]) -> None:
    params = call.params
    for name in _TEXTS:
        if name in params:
            _set(settings, name, call.text(name) or None)
    for name in _FLAGS:
        if name in params and (params[name] is None or isinstance(params[name], bool)):
            _set(settings, name, params[name])
            if name in _DATED:
                _set(settings, f"{name}At", now_ms() if params[name] else None)
    if "model" in params:
        ref = call.text("model") or None
        if ref is not None:
            try:
                ref = find_model(call.gateway.config, ref).ref
            except UnknownModel as error:
                raise RequestError(str(error)) from None
        _set(settings, "model", ref)
    if "thinkingLevel" in params:
        level = call.text("thinkingLevel").lower() or None
        levels = thinking_levels(_model_of(call, settings))
        if level is not None and level not in levels:
            raise RequestError(f"invalid thinkingLevel (use {', '.join(levels)})")
        _set(settings, "thinkingLevel", level)


def _model_of(call: Call, settings: dict[str, Any]) -> Model | None:
    try:
        return find_model(call.gateway.config, settings["model"])
    except (KeyError, UnknownModel):
        return primary_model(call.gateway.config)


def _set(settings: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        settings.pop(name, None)
    else:
        settings[name] = value


def reset(call: Call) -> dict[str, Any]:
    """`sessions.reset`: begin anew under the same key; the old transcript stays on disk."""
    gateway = call.gateway
    key = canonical_key(call.required("key"))
    _stop_runs(call, key)
    session = gateway.sessions.ensure(key)
    gateway.sessions.reset(session)
    gateway.tell_session(key, "reset")
    return {"ok": True, "key": key, "entry": _entry(session), "resolved": _resolved(call, session)}


def delete(call: Call) -> dict[str, Any]:
    """`sessions.delete`: remove a session and, unless asked otherwise, its transcript. The main session stays."""
    gateway = call.gateway
    key = canonical_key(call.required("key"))
    if key == MAIN_KEY:
        raise RequestError(f"Cannot delete the main session ({key}).")
    _stop_runs(call, key)
    session = gateway.sessions.get(key)
    if session is not None:
        with transaction(gateway.database):
            gateway.sessions.delete(session)
            if call.flag("deleteTranscript", True):
                gateway.transcripts.delete(session.session_id)
        gateway.tell_session(key, "delete")
    return {"ok": True, "key": key, "deleted": session is not None, "archived": []}


def _stop_runs(call: Call, key: str) -> None:
    if not call.gateway.active_runs:
        return
    lanes = call.gateway.lanes
    active = lanes.active(key)
    for run in [*lanes.waiting(key), *([] if active is None else [active])]:
        lanes.abort(run, "rpc")


async def compact(call: Call) -> dict[str, Any]:
    """`sessions.compact`: replace the older part of a transcript by a summary."""
    from tenant_gateway.agent.compaction import NothingToCompact, compact_session

    gateway = call.gateway
    key = canonical_key(call.required("key"))
    if gateway.active_runs and gateway.lanes.active(key) is not None:
        raise RequestError(f"Session {key} has an active run; retry after it finishes.")
    session = gateway.sessions.get(key)
    if session is None:
        return {"ok": True, "key": key, "compacted": False, "reason": "no session"}
    try:
        compacted = await compact_session(gateway, session, keep=0)
    except NothingToCompact as reason:
        return {"ok": True, "key": key, "compacted": False, "reason": str(reason)}
    gateway.tell_session(key, "compact")
    return {"ok": True, "key": key, "compacted": True, "result": compacted.shown()}


def _entry(session: Session) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "sessionId": session.session_id,
        "updatedAt": session.updated_at,
        "createdAt": session.created_at,
        "createdVia": session.state.get("createdVia", "operator"),
        "systemSent": bool(session.state.get("systemSent")),
        "abortedLastRun": bool(session.state.get("abortedLastRun")),
    }
    for name in ("inputTokens", "outputTokens", "totalTokens", "compactionCount"):
        if session.state.get(name) is not None:
            entry[name] = session.state[name]
    settings = dict(session.settings)
    model = settings.pop("model", None)
    entry.update((name, value) for name, value in settings.items() if name not in _DATED)
    entry["modelOverrideSource"] = "user" if model else "default"
    if model:
        entry["providerOverride"], _, entry["modelOverride"] = model.partition("/")
    return entry


def _resolved(call: Call, session: Session) -> dict[str, Any]:
    model = session_model(call.gateway, session)
    return {
        "modelProvider": None if model is None else model.provider,
        "model": None if model is None else model.id,
        "agentRuntime": {"id": "openclaw", "source": "implicit"},
        "runtimeSelectionLocked": False,
    }
