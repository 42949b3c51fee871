"""`config.get`, `config.patch`, `config.set`, `config.apply`, `config.schema`."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

import msgspec

from tenant_gateway.config.document import ConfigError, parse_config
from tenant_gateway.config.edit import changed_paths, merge_patch, redact, restore, write_config
from tenant_gateway.methods.registry import Call, RequestError

_WRITES: Final = 30
_WINDOW: Final = 60.0
"""Upstream's limit: 30 writes in 60 s."""


def get(call: Call) -> dict[str, Any]:
    """`config.get`: the file with its secrets replaced, and the hash that an edit must name."""
    return _snapshot(call)


def _snapshot(call: Call) -> dict[str, Any]:
    gateway = call.gateway
    config = gateway.config
    shown = redact(config.parsed)
    digest = config.hash(gateway.secret)
    return {
        "path": str(gateway.settings.config_path),
        "includedPaths": [],
        "includeProvenance": [],
        "agentRosterIncludeOwned": False,
        "bindingsIncludeOwned": False,
        "exists": True,
        "raw": msgspec.json.format(msgspec.json.encode(shown), indent=2).decode(),
        "parsed": shown,
        "sourceConfig": shown,
        "resolved": shown,
        "valid": True,
        "runtimeConfig": shown,
        "config": shown,
        "hash": digest,
        "issues": [],
        "warnings": [],
        "legacyIssues": [],
        "configRevisionHash": digest,
        "appliedConfigHash": digest,
    }


def patch(call: Call) -> dict[str, Any]:
    """`config.patch`: apply a JSON merge patch."""
    change = _raw(call)
    config = call.gateway.config
    return _write(call, merge_patch(config.parsed, restore(change, config.parsed)))


def set_(call: Call) -> dict[str, Any]:
    """`config.set` and `config.apply`: replace the whole file."""
    return _write(call, restore(_raw(call), call.gateway.config.parsed))


def _raw(call: Call) -> dict[str, Any]:
    raw = call.required("raw")
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise RequestError(f"raw is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("raw must be an object")
    return value


def _write(call: Call, parsed: dict[str, Any]) -> dict[str, Any]:
    gateway = call.gateway
    paths = changed_paths(gateway.config.parsed, parsed)
    base = call.text("baseHash")
    if (base and base != gateway.config.hash(gateway.secret)) or (paths and not base):
        raise RequestError("config changed since last load; re-run config.get and retry")
    answer: dict[str, Any] = {"ok": True, "changedPaths": paths, "path": str(gateway.settings.config_path)}
    if not paths:
        return {**answer, "noop": True, "config": redact(gateway.config.parsed), "hash": base or None}
    if any(path.startswith("gateway.auth") or path == "gateway.trustedProxies" for path in paths):
        raise RequestError("gateway.auth and gateway.trustedProxies are set by who runs this gateway")
    _check_rate(gateway.config_writes)
    try:
        config = parse_config(msgspec.json.encode(parsed), gateway.settings.environ)
    except ConfigError as error:
        raise RequestError(
            f"invalid config: {error}", details={"issues": [{"path": error.path, "message": error.message}]}
        ) from None
    try:
        raw = write_config(gateway.settings.config_path, parsed)
    except OSError as error:
        raise RequestError(f"cannot write the config: {error.strerror}", "UNAVAILABLE") from None
    config = parse_config(raw, gateway.settings.environ)
    gateway.apply(config)
    return {**answer, "config": redact(config.parsed), "hash": config.hash(gateway.secret)}


def _check_rate(writes: deque[float]) -> None:
    now = time.monotonic()
    while writes and now - writes[0] > _WINDOW:
        writes.popleft()
    if len(writes) >= _WRITES:
        wait = int((_WINDOW - (now - writes[0])) * 1000)
        raise RequestError("too many config writes", "UNAVAILABLE", retryable=True, retry_after_ms=wait)
    writes.append(now)


_TEXT: Final = {"type": "string"}
_FREE: Final = {"type": "object", "additionalProperties": True}


def schema(call: Call) -> dict[str, Any]:
    """`config.schema`: the keys that this runtime reads. Others are kept and mean nothing to it."""
    defaults = {
        "type": "object",
        "title": "Agent defaults",
        "properties": {
            "model": {
                "type": "object",
                "properties": {"primary": _TEXT, "fallbacks": {"type": "array", "items": _TEXT}},
            },
            "workspace": _TEXT,
            "skipBootstrap": {"type": "boolean"},
            "contextTokens": {"type": "integer", "minimum": 1},
            "userTimezone": _TEXT,
        },
        "additionalProperties": True,
    }
    properties = {
        "gateway": {**_FREE, "title": "Gateway"},
        "models": {**_FREE, "title": "Models", "properties": {"mode": _TEXT, "providers": _FREE}},
        "agents": {**_FREE, "title": "Agents", "properties": {"defaults": defaults}},
        "tools": {
            **_FREE,
            "title": "Tools",
            "properties": {
                "profile": {"type": "string", "enum": ["minimal", "coding", "messaging", "full"]},
                "allow": {"type": "array", "items": _TEXT},
                "deny": {"type": "array", "items": _TEXT},
            },
        },
        "messages": {**_FREE, "title": "Messages"},
        "cron": {**_FREE, "title": "Cron"},
    }
    document = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "additionalProperties": True,
    }
    return {"schema": document, "uiHints": {}, "version": "native", "generatedAt": ""}


def schema_lookup(call: Call) -> dict[str, Any]:
    """`config.schema.lookup`: the schema of one key."""
    path = call.required("path")
    node: Any = schema(call)["schema"]
    for name in path.split("."):
        node = (node.get("properties") or {}).get(name) if isinstance(node, dict) else None
        if node is None:
            raise RequestError("config schema path not found")
    children = [{"key": name, "path": f"{path}.{name}"} for name in node.get("properties", {})]
    return {
        "path": path,
        "schema": {k: v for k, v in node.items() if k != "properties"},
        "reloadKind": "hot",
        "children": children,
    }
