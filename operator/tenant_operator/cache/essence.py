"""What an object says of what we asked for: compared with what it should say, it shows drift."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ..apiserver.resources import Json

_IGNORED_SPEC = frozenset({"replicas"})
"""The router's and the operator's own by /scale, never part of an apply's meaning."""


def essence(body: Json) -> Json:
    """Return labels, owners and content of a Deployment or Secret; the values of a Secret as hashes."""
    metadata = body.get("metadata", {})
    result: Json = {
        "labels": metadata.get("labels") or {},
        "owners": [
            {"uid": owner.get("uid"), "controller": owner.get("controller", False)}
            for owner in metadata.get("ownerReferences") or []
        ],
    }
    if "spec" in body:
        result["spec"] = {key: value for key, value in body["spec"].items() if key not in _IGNORED_SPEC}
    if "data" in body:
        result["data"] = {key: hashlib.sha256(str(value).encode()).hexdigest() for key, value in body["data"].items()}
    return result


def encode(value: Json) -> bytes:
    """Return an essence as bytes."""
    return msgspec.json.encode(value, order="sorted")


def fingerprint(encoded: bytes) -> bytes:
    """Return the hash of an encoded essence."""
    return hashlib.blake2b(encoded, digest_size=12).digest()


def says(actual: Any, wanted: Any) -> bool:
    """Tell whether an object says at least what is wanted; the API server adds defaults, and others may add fields."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(key in actual and says(actual[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(actual, list) and len(actual) == len(wanted) and all(map(says, actual, wanted))
            if _ordered(wanted)
            else isinstance(actual, list) and all(any(says(one, item) for one in actual) for item in wanted)
        )
    return bool(actual == wanted)


def _ordered(wanted: list[Any]) -> bool:
    """Tell whether a list's order counts: lists of named things are merged by name, by us and by others."""
    return not (wanted and isinstance(wanted[0], dict))
