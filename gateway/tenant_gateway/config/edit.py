"""Editing the configuration file over the protocol: what is shown, what a patch does, what must not be written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

REDACTED: Final = "__OPENCLAW_REDACTED__"

_SECRET_WORDS: Final = ("apikey", "token", "password", "secret", "credential", "authorization")
_NO_SECRETS: Final = frozenset(
    {"maxtokens", "contexttokens", "reservetokens", "keeprecenttokens", "tokens", "maxoutputtokens"}
)


def is_secret(name: str) -> bool:
    """Whether a key's value is a secret, by its name."""
    lowered = name.lower()
    return lowered not in _NO_SECRETS and any(word in lowered for word in _SECRET_WORDS)


def redact(value: Any, name: str = "") -> Any:
    """Return a configuration with its secrets replaced."""
    if isinstance(value, dict):
        # The user names of the trusted proxy are the secret that it shares with us.
        if name in ("identityScopes", "headers"):
            return {(REDACTED if name == "identityScopes" else key): _hide(item, name) for key, item in value.items()}
        return {key: redact(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [REDACTED if name == "allowUsers" else redact(item) for item in value]
    return REDACTED if isinstance(value, str) and value and is_secret(name) else value


def _hide(value: Any, name: str) -> Any:
    return REDACTED if name == "headers" and isinstance(value, str) else value


def restore(value: Any, original: Any) -> Any:
    """Put the secrets back where a client sends a configuration as it was shown it."""
    if isinstance(value, dict):
        known = original if isinstance(original, dict) else {}
        restored = {}
        for key, item in value.items():
            if key == REDACTED:
                # Keys that are secrets were shown under one name and cannot be edited: all of them stay.
                restored.update(known)
            else:
                restored[key] = restore(item, known.get(key))
        return restored
    if isinstance(value, list):
        known_items = original if isinstance(original, list) else []
        return [restore(item, known_items[at] if at < len(known_items) else None) for at, item in enumerate(value)]
    return original if value == REDACTED else value


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


_MISSING: Final = object()
"""Stands for a name that is not there, which is not the same as null."""


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the paths in dots whose values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [
            found
            for name in names
            for found in changed_paths(old.get(name, _MISSING), new.get(name, _MISSING), f"{path}.{name}".lstrip("."))
        ]
    return [] if old == new else [path]


def write_config(path: Path, parsed: dict[str, Any]) -> bytes:
    """Replace the file, keeping the one before as `.bak`; returns what was written.

    Raises:
        OSError: it cannot be written.
    """
    raw = msgspec.json.format(msgspec.json.encode(parsed), indent=2) + b"\n"
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        backup = path.with_name(f"{path.name}.bak")
        backup.unlink(missing_ok=True)
        os.link(path, backup)
    fresh.replace(path)
    return raw
