"""`agents.list`, `agent.identity.get`, `agents.files.*`. A tenant has one agent, `main`."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import Any, Final

from tenant_gateway.agent.models import fallback_refs, primary_model
from tenant_gateway.agent.thinking import thinking_fields
from tenant_gateway.methods.registry import Call, RequestError
from tenant_gateway.storage.sessions import DEFAULT_AGENT
from tenant_gateway.workspace.confine import Outside, Root

FILES: Final = ("AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md", "USER.md", "BOOTSTRAP.md", "MEMORY.md")
"""The files that can be read and edited over the protocol (upstream's `BOOTSTRAP_FILE_NAMES`)."""

_EXPECTED_ABSENT: Final = frozenset({"TOOLS.md", "BOOTSTRAP.md", "MEMORY.md"})
_MAX_FILE: Final = 1024 * 1024
_FIELD: Final = re.compile(r"^[ \t]*[-*][ \t]*\**(Name|Emoji)\**:\**[ \t]*(\S.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)


def list_agents(call: Call) -> dict[str, Any]:
    """`agents.list`."""
    gateway = call.gateway
    model = primary_model(gateway.config)
    workspace = gateway.settings.workspace(gateway.config)
    entry: dict[str, Any] = {
        "id": DEFAULT_AGENT,
        "workspace": str(workspace),
        "workspaceGit": (workspace / ".git").exists(),
        "agentRuntime": {"id": "auto", "source": "implicit"},
        "model": {"primary": None if model is None else model.ref, "fallbacks": list(fallback_refs(gateway.config))},
        "defaultPermissionMode": "full",
        **thinking_fields(model),
    }
    identity = _identity(call)
    if "name" in identity:
        entry["name"] = identity["name"]
        entry["identity"] = identity
    return {
        "defaultId": DEFAULT_AGENT,
        "ownership": "sole",
        "selectionRequired": False,
        "mainKey": "main",
        "scope": "per-sender",
        "agents": [entry],
    }


def identity_get(call: Call) -> dict[str, Any]:
    """`agent.identity.get`: name and face, from IDENTITY.md."""
    identity = _identity(call)
    name = identity.get("name", "Assistant")
    source = "identity" if "name" in identity else "default"
    answer = {"agentId": DEFAULT_AGENT, "name": name, "nameSource": source, "avatar": identity.get("emoji", name[0])}
    if "emoji" in identity:
        answer["emoji"] = identity["emoji"]
    return answer


def _identity(call: Call) -> dict[str, str]:
    try:
        content = _root(call).read_text("IDENTITY.md", 20_000)
    except (OSError, Outside):
        return {}
    fields = {name.lower(): value for name, value in _FIELD.findall(content)}
    return {
        name: value for name, value in fields.items() if name in ("name", "emoji") and value and value[0] not in "_("
    }


def _root(call: Call) -> Root:
    return Root(call.gateway.settings.workspace(call.gateway.config))


def _check_agent(call: Call) -> None:
    agent_id = call.required("agentId").lower()
    if agent_id != DEFAULT_AGENT:
        raise RequestError(f'unknown agent id "{agent_id}"')


def _file_name(call: Call) -> str:
    name = call.required("name")
    if name not in FILES:
        raise RequestError(f'unsupported file "{name}"')
    return name


def files_list(call: Call) -> dict[str, Any]:
    """`agents.files.list`."""
    _check_agent(call)
    root = _root(call)
    files = [_describe(root, name) for name in FILES]
    shown = [file for file in files if not file["missing"] or file["name"] in ("MEMORY.md", "SOUL.md", "AGENTS.md")]
    return {"agentId": DEFAULT_AGENT, "workspace": str(root.path), "files": shown}


def files_get(call: Call) -> dict[str, Any]:
    """`agents.files.get`."""
    _check_agent(call)
    name = _file_name(call)
    root = _root(call)
    return {"agentId": DEFAULT_AGENT, "workspace": str(root.path), "file": _describe(root, name, content=True)}


def files_set(call: Call) -> dict[str, Any]:
    """`agents.files.set`: replaces the file at once or not at all; with `expectedHash` only the version that was read."""
    _check_agent(call)
    name = _file_name(call)
    content = call.params.get("content")
    if not isinstance(content, str):
        raise call.invalid(
            "must have required property 'content'" if content is None else "at /content: must be string"
        )
    if len(content) > _MAX_FILE:
        raise RequestError(f"{name} is too large")
    root = _root(call)
    expected = call.text("expectedHash")
    if expected and _describe(root, name, content=True).get("hash") != expected:
        raise RequestError(f"{name} changed since it was read; reload and retry", details={"code": "FILE_CHANGED"})
    try:
        root.path.mkdir(parents=True, exist_ok=True)
        root.write_text(name, content)
    except (OSError, Outside) as error:
        raise RequestError(f'unsafe workspace file "{name}": {error}') from None
    file = _describe(root, name, content=True)
    return {"ok": True, "agentId": DEFAULT_AGENT, "workspace": str(root.path), "file": file}


def _describe(root: Root, name: str, *, content: bool = False) -> dict[str, Any]:
    base: dict[str, Any] = {"name": name, "path": str(root.path / name)}
    try:
        descriptor = root.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, Outside):
        absent = {**base, "missing": True}
        if name in _EXPECTED_ABSENT:
            absent["expectedAbsent"] = True
        return absent
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return {**base, "missing": True}
        found = {**base, "missing": False, "size": status.st_size, "updatedAtMs": status.st_mtime_ns // 1_000_000}
        if content:
            data = file.read(_MAX_FILE)
            found["hash"] = hashlib.sha256(data).hexdigest()
            found["content"] = data.decode(errors="replace")
    return found
