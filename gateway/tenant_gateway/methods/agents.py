"""`agents.list`."""

from __future__ import annotations

from typing import Any

from tenant_gateway.agent.models import fallback_refs, primary_model
from tenant_gateway.methods.registry import Call
from tenant_gateway.storage.sessions import DEFAULT_AGENT


def list_agents(call: Call) -> dict[str, Any]:
    """`agents.list`: a tenant has one agent, `main`."""
    gateway = call.gateway
    model = primary_model(gateway.config)
    entry: dict[str, Any] = {
        "id": DEFAULT_AGENT,
        "kind": "agent",
        "workspace": str(gateway.settings.workspace(gateway.config)),
        "model": {"primary": None if model is None else model.ref, "fallbacks": list(fallback_refs(gateway.config))},
    }
    return {
        "defaultId": DEFAULT_AGENT,
        "ownership": "sole",
        "selectionRequired": False,
        "mainKey": "main",
        "scope": "per-sender",
        "agents": [entry],
    }
