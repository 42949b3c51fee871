"""JSON as a value: what a config may hold, checked and bounded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

MAX_DEPTH: Final = 32
"""Objects within objects. Upstream's deepest config key has 9 levels; recursion over a config is bounded by this."""

MAX_NODES: Final = 20_000
"""Values in one config. A config of every documented key has fewer than 5,000."""

_SAFE_INTEGER = 2**53
"""Largest integer that JavaScript, and so upstream, reads back exactly."""

_PROTOTYPE_KEYS = frozenset({"__proto__", "constructor", "prototype"})
"""Keys that a careless merge in JavaScript takes for the object's prototype; upstream refuses them too."""


def problems(value: object) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield what keeps a value from being a config: path, problem, hint. Stops at the first bound that is broken."""
    stack: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    seen = 0
    while stack:
        path, node = stack.pop()
        seen += 1
        if seen > MAX_NODES:
            yield (), f"has more than {MAX_NODES} values", "split it or leave something out"
            return
        if len(path) > MAX_DEPTH:
            yield path[:MAX_DEPTH], f"is nested deeper than {MAX_DEPTH} levels", "no OpenClaw config is"
            return
        if isinstance(node, dict):
            for key, child in node.items():
                if not isinstance(key, str):
                    yield (*path, str(key)), f"has a key that is no string ({key!r})", f'write "{key}" in quotes'
                elif key in _PROTOTYPE_KEYS:
                    yield (*path, key), "is a key that OpenClaw refuses", "take another name"
                else:
                    stack.append(((*path, key), child))
        elif isinstance(node, list):
            stack.extend(((*path, index), child) for index, child in enumerate(node))
        elif isinstance(node, float):
            if not math.isfinite(node):
                yield path, "is no number that JSON has", "write a finite number or leave it out"
        elif isinstance(node, int):
            if abs(node) > _SAFE_INTEGER:
                yield path, "is a number that JavaScript can't hold exactly", "write it in quotes"
        elif isinstance(node, str):
            try:
                node.encode()
            except UnicodeEncodeError:
                yield path, "holds half a surrogate pair, which UTF-8 can't carry", "write the whole character"
        elif node is not None:
            yield path, f"is no JSON but a {type(node).__name__}", "write it in quotes"


def _object(value: dict[str, Any]) -> dict[str, Any]:
    for path, problem, hint in problems(value):
        raise PydanticCustomError("json", "{problem}", {"problem": problem, "hint": hint, "at": path})
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_object), WithJsonSchema({"type": "object"})]
"""An object of free JSON within the bounds of this module."""
