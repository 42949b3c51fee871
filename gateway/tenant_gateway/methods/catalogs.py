"""`models.list`, `models.authStatus`, `commands.list`, `tools.catalog`, `tools.effective`, `chat.metadata`."""

from __future__ import annotations

from typing import Any

from tenant_gateway.agent.commands import COMMANDS
from tenant_gateway.agent.models import SUPPORTED_APIS, Model, all_models, primary_model
from tenant_gateway.agent.thinking import thinking_default, thinking_levels
from tenant_gateway.methods.registry import Call
from tenant_gateway.storage.sessions import DEFAULT_AGENT, now_ms
from tenant_gateway.tools.catalog import GROUPS, all_tools, enabled_tools


def models_list(call: Call) -> dict[str, Any]:
    """`models.list`: the configured models."""
    return {"models": _models(call)}


def _models(call: Call) -> list[dict[str, Any]]:
    config = call.gateway.config
    default = primary_model(config)
    return [_model(model, is_default=model == default) for model in all_models(config)]


def _model(model: Model, *, is_default: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": model.id,
        "name": model.name,
        "provider": model.provider,
        "contextWindow": model.context_window,
        "reasoning": model.reasoning,
        "input": list(model.inputs),
        "thinkingLevels": [{"id": level, "label": level} for level in thinking_levels(model)],
        "thinkingDefault": thinking_default(model),
        "available": model.api in SUPPORTED_APIS,
    }
    if is_default:
        entry["tags"] = ["default"]
    return entry


def auth_status(call: Call) -> dict[str, Any]:
    """`models.authStatus`: which providers have a key. Never the key."""
    providers = []
    for name, provider in call.gateway.config.table("models.providers").items():
        entry: dict[str, Any] = {"provider": name, "authProvider": name, "displayName": name, "profiles": []}
        entry["status"] = "static" if provider.get("apiKey") else "missing"
        if provider.get("apiKey"):
            entry["apiKey"] = {"source": "config"}
        providers.append(entry)
    return {"ts": now_ms(), "providers": providers, "providerCapabilities": []}


def commands_list(call: Call) -> dict[str, Any]:
    """`commands.list`: the slash commands that `chat.send` understands."""
    return {"commands": _commands()}


def _commands() -> list[dict[str, Any]]:
    commands = []
    for command in COMMANDS.values():
        entry: dict[str, Any] = {
            "name": command.name,
            "nativeName": command.name,
            "textAliases": [f"/{alias}" for alias in (command.name, *command.aliases)],
            "description": command.description,
            "category": command.category,
            "source": "native",
            "scope": "both",
            "acceptsArgs": command.argument is not None,
        }
        if command.argument is not None:
            entry["args"] = [{"name": command.argument, "description": command.argument, "type": "string"}]
        commands.append(entry)
    return commands


def tools_catalog(call: Call) -> dict[str, Any]:
    """`tools.catalog`: every tool there is, by group."""
    groups = []
    for group, label in GROUPS.items():
        tools = [
            {
                "id": tool.name,
                "label": tool.name,
                "description": tool.description,
                "source": "core",
                "defaultProfiles": ["coding"] if group in ("fs", "runtime") else [],
            }
            for tool in all_tools()
            if tool.group == group
        ]
        if tools:
            groups.append({"id": group, "label": label, "source": "core", "tools": tools})
    names = ("minimal", "coding", "messaging", "full")
    profiles = [{"id": name, "label": name.capitalize()} for name in names]
    return {"agentId": DEFAULT_AGENT, "profiles": profiles, "groups": groups}


def tools_effective(call: Call) -> dict[str, Any]:
    """`tools.effective`: the tools that a session's model is offered."""
    config = call.gateway.config
    tools = [
        {
            "id": tool.name,
            "label": tool.label,
            "description": tool.description,
            "rawDescription": tool.description,
            "source": "core",
        }
        for tool in enabled_tools(config).values()
    ]
    group = {"id": "core", "label": "Built-in tools", "source": "core", "tools": tools}
    return {"agentId": DEFAULT_AGENT, "profile": config.text("tools.profile", "full"), "groups": [group]}


def chat_metadata(call: Call) -> dict[str, Any]:
    """`chat.metadata`: what a chat page needs beside the messages."""
    return {"models": _models(call), "commands": _commands()}
