"""Quantities in the API server's own spelling, so that what was applied compares equal to what is read back."""

from __future__ import annotations

from typing import Final

from tenant_api.quantities import format_bytes, parse_quantity

_DECIMAL: Final = (("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3))


def canonical(quantity: str) -> str:
    """Return a quantity with the largest unit that leaves no fraction: 1000m is 1, 1024Mi is 1Gi."""
    number = parse_quantity(quantity)
    if quantity.endswith("i") and number == number.to_integral_value():
        return format_bytes(int(number))
    for unit, power in _DECIMAL:
        scaled = number.scaleb(-power)
        if number and scaled == scaled.to_integral_value():
            return f"{int(scaled)}{unit}"
    return "0" if not number else quantity


def canonical_all(quantities: dict[str, str]) -> dict[str, str]:
    """Return `canonical` of each value."""
    return {name: canonical(quantity) for name, quantity in quantities.items()}
