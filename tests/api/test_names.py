from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tenant_api.names import DnsLabel, EnvName, LabelKey, LabelValue, UserId, is_dns_label, suggest_dns_label


@pytest.mark.parametrize("name", ["a", "a-b", "0", "x" * 63])
def test_dns_labels(name: str) -> None:
    assert is_dns_label(name)
    assert TypeAdapter(DnsLabel).validate_python(name) == name


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "x" * 64, "a\n", "ä"])
def test_no_dns_labels(name: str) -> None:
    assert not is_dns_label(name)
    with pytest.raises(ValidationError):
        TypeAdapter(DnsLabel).validate_python(name)


@given(st.text(max_size=200))
def test_a_suggestion_is_always_a_label(text: str) -> None:
    assert is_dns_label(suggest_dns_label(text))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (LabelKey, ["plan", "example.com/plan", "A_b.c"], ["", "/plan", "a/b/c", "-a", "plan\n", "Example.com/plan"]),
        (LabelValue, ["", "gold", "A_b.c"], ["-a", "a b", "x" * 64, "gold\n"]),
        (EnvName, ["A", "_a9"], ["", "9A", "A-B", "A=B", "A\n"]),
        (UserId, ["42", "ann@example.com", "auth0|12:ab", "a/b+c="], ["", '"', "a b", "a'", "{a", "a\n", "x" * 254]),
    ],
)
def test_other_names(kind: Any, good: list[str], bad: list[str]) -> None:
    adapter = TypeAdapter[str](kind)
    for name in good:
        assert adapter.validate_python(name) == name
    for name in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(name)
