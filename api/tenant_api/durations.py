"""Durations as people write them: "15m", "90s", "1h30m", "250ms"."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

PATTERN: Final = r"^([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$"
"""The part of Go's duration syntax that means one thing only; CEL's `duration()` takes all of it."""

MAX_SECONDS: Final = 10 * 365 * 24 * 3600
"""Ten years: whoever wants longer means never, and a sum of these can't overflow anything."""

_UNITS = (("h", 3600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_COMPILED = re.compile(PATTERN.removesuffix("$") + r"\Z")


def parse_duration(text: str) -> float:
    """Return the seconds that "1h30m" and its like stand for.

    Raises
    ------
    ValueError
        The text is no duration, or longer than ten years.
    """
    match = _COMPILED.match(text)
    if not text or match is None:
        raise ValueError("is no duration: write a number with its unit, e.g. 15m, 90s or 1h30m")
    millis = sum(
        int(part[: -len(unit)]) * size for part, (unit, size) in zip(match.groups(), _UNITS, strict=True) if part
    )
    if millis > MAX_SECONDS * 1000:
        raise ValueError("is longer than ten years")
    return millis / 1000


def format_duration(seconds: float) -> str:
    """Return the shortest spelling that `parse_duration` reads as these seconds (whole milliseconds)."""
    millis = round(seconds * 1000)
    text = ""
    for unit, size in _UNITS:
        count, millis = divmod(millis, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def _validate(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = f'write "{value}s" or "{value}m"' if isinstance(value, int) else 'write e.g. "90s" or "1m30s"'
        raise PydanticCustomError("duration", "{problem}", {"problem": "has no unit", "hint": hint})
    if not isinstance(value, str):
        raise PydanticCustomError("duration", "{problem}", {"problem": "is no duration", "hint": 'write e.g. "15m"'})
    try:
        return parse_duration(value)
    except ValueError as error:
        problem, _, hint = str(error).partition(": ")
        raise PydanticCustomError("duration", "{problem}", {"problem": problem, "hint": hint}) from None


DurationSeconds = Annotated[
    float,
    BeforeValidator(_validate),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "minLength": 2, "maxLength": 32}),
]
"""Seconds in code, "15m" in YAML."""
