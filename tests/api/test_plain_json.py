from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_api.plain_json import MAX_DEPTH, MAX_NODES, problems


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        ({"a": [{1: 2}]}, ("a", 0, "1"), "no string"),
        ({"a": {"constructor": 1}}, ("a", "constructor"), "refuses"),
        ({"a": float("inf")}, ("a",), "JSON"),
        ({"a": 2**53 + 1}, ("a",), "JavaScript"),
        ({"a": "\ud800"}, ("a",), "surrogate"),
        ({"a": b"x"}, ("a",), "bytes"),
        (nested(MAX_DEPTH + 1), ("a",) * MAX_DEPTH, "deeper"),
        ({"a": [0] * MAX_NODES}, (), "values"),
    ],
)
def test_names_what_is_no_config(value: Any, path: tuple[str | int, ...], says: str) -> None:
    [(where, problem, hint)] = problems(value)
    assert where == path and says in problem and hint


def test_the_bounds_themselves_are_allowed() -> None:
    assert list(problems(nested(MAX_DEPTH))) == []
    assert list(problems({"a": [0] * (MAX_NODES - 3), "b": 2**53})) == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3)
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3),
)


@given(ANY)
def test_any_value_gets_an_answer(value: Any) -> None:
    for path, problem, hint in problems(value):
        assert isinstance(path, tuple) and problem and hint
