"""Sessions as clients see them: the rows of `sessions.list`, `sessionInfo` of `chat.history`, `session` of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenant_gateway.agent.models import Model, UnknownModel, context_tokens, find_model, primary_model
from tenant_gateway.agent.thinking import thinking_fields
from tenant_gateway.storage.sessions import DEFAULT_AGENT, MAIN_KEY, Session, now_ms

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


def session_model(gateway: Gateway, session: Session | None) -> Model | None:
    """Return the model that the session's next run uses."""
    override = None if session is None else session.settings.get("model")
    if override:
        try:
            return find_model(gateway.config, override)
        except UnknownModel:
            pass
    return primary_model(gateway.config)


def defaults(gateway: Gateway) -> dict[str, Any]:
    """Return `defaults` of `sessions.list` and `chat.history`."""
    model = primary_model(gateway.config)
    return {
        "modelProvider": None if model is None else model.provider,
        "model": None if model is None else model.id,
        "contextTokens": context_tokens(gateway.config, model),
        "agentRuntime": {
            "id": "auto",
            "cloudPlacementSupported": False,
            "devicePlacementSupported": False,
            "source": "implicit",
        },
        **thinking_fields(model),
        "modelSelectionTarget": "session",
    }


def session_row(gateway: Gateway, session: Session) -> dict[str, Any]:
    """Return a session in upstream's shape; what this runtime does not have is left out."""
    state, settings = session.state, session.settings
    model = session_model(gateway, session)
    active = _active_runs(gateway, session.key)
    row: dict[str, Any] = {
        "key": session.key,
        "sessionId": session.session_id,
        "agentId": DEFAULT_AGENT,
        "kind": "direct",
        "chatType": "direct",
        "classification": _classification(session.key),
        "isMain": session.key == MAIN_KEY,
        "isBackground": ":cron:" in session.key,
        "visibility": "shared",
        "sharingRole": "admin",
        "createdVia": state.get("createdVia", "operator"),
        "createdAt": session.created_at,
        "updatedAt": session.updated_at,
        "lastInteractionAt": session.interacted_at,
        "snapshotAt": now_ms(),
        "archived": bool(settings.get("archived")),
        "pinned": bool(settings.get("pinned")),
        "unread": bool(settings.get("unread")),
        "systemSent": bool(state.get("systemSent")),
        "abortedLastRun": bool(state.get("abortedLastRun")),
        "permissionModePending": False,
        "inputTokens": state.get("inputTokens", 0),
        "outputTokens": state.get("outputTokens", 0),
        "totalTokens": state.get("totalTokens", 0),
        "totalTokensFresh": "totalTokens" in state,
        "effectiveFastMode": False,
        "effectiveFastModeSource": "default",
        "effectiveResponseUsage": settings.get("responseUsage", "off"),
        "effectiveQueueMode": settings.get("queueMode") or gateway.config.text("messages.queue.mode", "steer"),
        "modelProvider": None if model is None else model.provider,
        "model": None if model is None else model.id,
        "modelOverrideSource": "user" if settings.get("model") else None,
        "runtimeSelectionLocked": False,
        "agentRuntime": {
            "id": "openclaw",
            "cloudPlacementSupported": False,
            "devicePlacementSupported": False,
            "source": "implicit",
        },
        "contextTokens": context_tokens(gateway.config, model),
        **thinking_fields(model),
        "placement": {"state": "local", "generation": 0},
        "hasActiveRun": bool(active),
        "activeRunIds": active,
    }
    for name in (
        "label",
        "displayName",
        "category",
        "icon",
        "color",
        "thinkingLevel",
        "verboseLevel",
        "reasoningLevel",
        "archivedAt",
        "pinnedAt",
    ):
        if settings.get(name) is not None:
            row[name] = settings[name]
    for name in (
        "status",
        "startedAt",
        "endedAt",
        "runtimeMs",
        "lastRunId",
        "compactionCount",
    ):
        if state.get(name) is not None:
            row[name] = state[name]
    return row


def status_row(gateway: Gateway, session: Session) -> dict[str, Any]:
    """Return a session as `status` lists it."""
    model = session_model(gateway, session)
    window = context_tokens(gateway.config, model)
    total = session.state.get("totalTokens")
    now = now_ms()
    return {
        "agentId": DEFAULT_AGENT,
        "key": session.key,
        "kind": "direct",
        "sessionId": session.session_id,
        "updatedAt": session.updated_at,
        "age": now - session.updated_at,
        "systemSent": bool(session.state.get("systemSent")),
        "abortedLastRun": bool(session.state.get("abortedLastRun")),
        "inputTokens": session.state.get("inputTokens"),
        "outputTokens": session.state.get("outputTokens"),
        "totalTokens": total,
        "totalTokensFresh": total is not None,
        "remainingTokens": None if total is None or window is None else max(0, window - total),
        "percentUsed": None if total is None or not window else min(100, round(100 * total / window)),
        "model": None if model is None else model.id,
        "contextTokens": window,
        "flags": [],
    }


def _active_runs(gateway: Gateway, key: str) -> list[str]:
    run = gateway.lanes.active(key) if gateway.active_runs else None
    return [] if run is None else [run.id]


def _classification(key: str) -> str:
    if key == MAIN_KEY:
        return "main"
    return "cron" if ":cron:" in key else "dashboard" if ":dashboard:" in key else "direct"
