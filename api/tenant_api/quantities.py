"""Quantities as Kubernetes spells them: "5Gi" of storage, "500m" of a CPU."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

PATTERN: Final = r"^[0-9]{1,19}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
"""Kubernetes' quantity without sign and exponent, which nobody writes for a size."""

MAX_BYTES: Final = 2**63 - 1
"""What Kubernetes' own quantities can hold."""

_COMPILED = re.compile(PATTERN.removesuffix("$") + r"\Z")
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_FACTORS: dict[str, Decimal] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{unit: Decimal(size) for unit, size in _BINARY.items()},
}
_JSON_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "pattern": PATTERN,
    "x-kubernetes-int-or-string": True,
}


def parse_quantity(text: str) -> Decimal:
    """Return the number that a quantity stands for: 500m is 0.5, 1Ki is 1024.

    Raises
    ------
    ValueError
        The text is no quantity.
    """
    match = _COMPILED.match(text)
    if match is None:
        raise ValueError("is no quantity")
    unit = match.group(2) or ""
    return Decimal(text.removesuffix(unit)) * _FACTORS[unit]


def format_bytes(size: int) -> str:
    """Return bytes in the largest binary unit that leaves no fraction."""
    for unit, factor in reversed(_BINARY.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _text(value: object, example: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and _COMPILED.match(value):
        return value
    raise PydanticCustomError("quantity", "{problem}", {"problem": "is no quantity", "hint": f'write e.g. "{example}"'})


def _bytes(value: object) -> int:
    size = parse_quantity(_text(value, "5Gi"))
    if size != size.to_integral_value() or size > MAX_BYTES:
        raise PydanticCustomError(
            "quantity", "{problem}", {"problem": "is no whole number of bytes", "hint": 'write e.g. "512Mi" or "5Gi"'}
        )
    return int(size)


def _positive(size: int) -> int:
    if size == 0:
        raise PydanticCustomError("quantity", "{problem}", {"problem": "is zero", "hint": 'write e.g. "5Gi"'})
    return size


ByteSize = Annotated[
    int,
    BeforeValidator(_bytes),
    AfterValidator(_positive),
    PlainSerializer(format_bytes, return_type=str),
    WithJsonSchema(_JSON_SCHEMA),
]
"""Bytes in code, "5Gi" in YAML; never 0."""

Quantity = Annotated[str, BeforeValidator(lambda value: _text(value, "500m")), WithJsonSchema(_JSON_SCHEMA)]
"""A quantity kept as it was written; `parse_quantity` tells its number."""
