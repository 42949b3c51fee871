from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_api.config import ConfigError
from tenant_api.config.gateway_settings import OWNED
from tenant_api.config.merge import merge, refuse_touching
from tenant_api.config.paths import Path, format_path
from tenant_api.plain_json import Json

KEYS = st.sampled_from(["a", "b", "c", "gateway", "auth", "mode"])
LEAVES = st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=2)
VALUES: st.SearchStrategy[Json] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
PATTERNS = st.lists(KEYS | st.just("*"), min_size=1, max_size=3).map(tuple)
MISSING = object()


@pytest.mark.parametrize(
    ("base", "overlay", "result"),
    [
        # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merges_as_rfc_7396(base: Json, overlay: Json, result: Json) -> None:
    assert merge(base, overlay) == result


@given(VALUES, VALUES)
def test_is_idempotent_and_changes_neither(base: Json, overlay: Json) -> None:
    before = copy.deepcopy((base, overlay))
    once = merge(base, overlay)
    assert merge(once, overlay) == once
    assert (base, overlay) == before
    json.dumps(once)


@given(VALUES, OBJECTS)
def test_an_empty_overlay_changes_nothing_and_a_null_never_stays(base: Json, overlay: dict[str, Json]) -> None:
    if isinstance(base, dict):
        assert merge(base, {}) == base
    result = merge({}, overlay)
    assert isinstance(result, dict) and None not in result.values()


def at(value: Any, path: Path) -> list[tuple[Path, Any]]:
    """Return every (path, value) in a value that a pattern names."""
    found: list[tuple[Path, Any]] = [((), value)]
    for segment in path:
        found = [
            ((*where, key), child)
            for where, node in found
            if isinstance(node, dict)
            for key, child in node.items()
            if segment in ("*", key)
        ]
    return found


@given(OBJECTS, OBJECTS, PATTERNS)
def test_protected_paths_always_win(base: dict[str, Json], overlay: dict[str, Json], pattern: Path) -> None:
    try:
        refuse_touching(overlay, [pattern], {})
    except ConfigError as error:
        assert error.path
        return
    assert at(merge(base, overlay), pattern) == at(base, pattern)


@given(OBJECTS, PATTERNS)
def test_a_refusal_names_a_path_that_is_in_the_overlay(overlay: dict[str, Json], pattern: Path) -> None:
    try:
        refuse_touching(overlay, [pattern], {})
    except ConfigError as error:
        node: Any = overlay
        for key in error.path:
            node = node[key]
        assert format_path(error.path) in str(error)


@pytest.mark.parametrize(
    "overlay",
    [
        {"gateway": {"port": 1}},
        {"gateway": None},
        {"gateway": {"auth": {"mode": "none"}}},
        {"gateway": {"auth": {"trustedProxy": {"allowUsers": ["eve"]}}}},
        {"gateway": {"trustedProxies": ["0.0.0.0/0"]}},
        {"gateway": {"controlUi": {"allowedOrigins": ["https://evil.example"]}}},
        {"gateway": {"http": {"endpoints": {"responses": {"enabled": False}}}}},
        {"gateway": {"http": None}},
        {"gateway": {"roles": {"default": "x"}}},
        {"env": {"vars": {"OPENCLAW_GATEWAY_TOKEN": "x"}}},
    ],
)
def test_what_is_ours_stays_ours(overlay: Json) -> None:
    with pytest.raises(ConfigError, match="belongs to OpenClaw Tenancy"):
        refuse_touching(overlay, [], OWNED)


def test_what_is_not_ours_is_the_users() -> None:
    refuse_touching(
        {"gateway": {"controlUi": {"communityInvite": False}, "nodes": {}}, "env": {"vars": {"TZ": "UTC"}}}, [], OWNED
    )
