from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_api.config.paths import format_path, parse_path, touched


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("gateway.auth", ("gateway", "auth")),
        ("a", ("a",)),
        ('models.providers["my.own"].baseUrl', ("models", "providers", "my.own", "baseUrl")),
        ('["a b"]', ("a b",)),
        ("a.*.b", ("a", "*", "b")),
        ('a["*"]', ("a", "[*]")),
    ],
)
def test_reads_paths(text: str, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a b", "a[0]", 'a["b"', 'a["b"]c', "a]", 'a"b"', "a\n", 'a["\\q"]']
)
def test_refuses_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError):
        parse_path(text)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_a_written_path_reads_back(keys: list[str]) -> None:
    value: object = 1
    for key in reversed(keys):
        value = {key: value}
    [(path, _)] = touched(value, [parse_path(format_path(keys))])
    assert path == tuple(keys)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_path(text)


@pytest.mark.parametrize(
    ("overlay", "pattern", "paths"),
    [
        ({"gateway": {"auth": {"mode": "none"}}}, "gateway.auth", ["gateway.auth"]),
        ({"gateway": {"auth": {}}}, "gateway.auth", ["gateway.auth"]),
        ({"gateway": {"auth": None}}, "gateway.auth", ["gateway.auth"]),
        ({"gateway": None}, "gateway.auth", ["gateway"]),
        ({"gateway": []}, "gateway.auth", ["gateway"]),
        ({"gateway": "x"}, "gateway.auth.mode", ["gateway"]),
        ({"gateway": {}}, "gateway.auth", []),
        ({"gateway": {"authx": 1}}, "gateway.auth", []),
        ({"models": {"providers": {"a": {"baseUrl": "x", "apiKey": "y"}, "b": {"apiKey": "z"}}}}, "models.providers.*.baseUrl",
         ["models.providers.a.baseUrl"]),
        ({"models": {"providers": {"a": None}}}, "models.providers.*.baseUrl", ["models.providers.a"]),
        ({"env": {"vars": {"OPENCLAW_TOKEN": "x", "MY": "y"}}}, "env.vars.OPENCLAW_*", ["env.vars.OPENCLAW_TOKEN"]),
    ],
)  # fmt: skip
def test_what_an_overlay_touches(overlay: object, pattern: str, paths: list[str]) -> None:
    assert [format_path(path) for path, _ in touched(overlay, [parse_path(pattern)])] == paths
