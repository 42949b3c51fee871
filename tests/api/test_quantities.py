from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_api.quantities import format_bytes, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5Gi", 5 * 2**30),
        ("1G", 10**9),
        ("500m", Decimal("0.5")),
        ("1.5Ki", 1536),
        ("0", 0),
        ("3", 3),
        ("2E", 2 * 10**18),
    ],
)
def test_reads_what_kubernetes_writes(text: str, number: Decimal) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    "text", ["", "Gi", "5 Gi", "-5Gi", "5gi", "5GB", "1e3", "5Gi\n", "\N{ARABIC-INDIC DIGIT FIVE}Gi"]
)
def test_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


@given(st.integers(0, 2**63 - 1))
def test_what_is_written_reads_back(size: int) -> None:
    assert parse_quantity(format_bytes(size)) == size
