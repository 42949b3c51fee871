"""The shape of a JSON value: which members it has, at which places, of which types. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAMED_BY_DATA = re.compile(r"[:/.@ ]|^[0-9a-f-]{32,}$")
"""Members whose name is a session key, a path, a model or an id: a table, whose entries have one shape."""

Shape = dict[str, set[str]]
"""Place → JSON types seen there: `messages[].content: {string, array}`."""


def shape(value: Any) -> Shape:
    """Return the shape of a value."""
    found: Shape = {}
    for place, kind in _walk(value, ""):
        found.setdefault(place, set()).add(kind)
    return found


def _walk(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield place, "object"
        for name, member in value.items():
            shown = "*" if _NAMED_BY_DATA.search(name) else name
            yield from _walk(member, f"{place}.{shown}" if place else shown)
    elif isinstance(value, list):
        yield place, "array"
        for item in value:
            yield from _walk(item, f"{place}[]")
    else:
        yield place, _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def outermost(places: set[str]) -> list[str]:
    """Return the places without those that lie inside another of them."""
    return sorted(
        place
        for place in places
        if not any(place != other and place.startswith((f"{other}.", f"{other}[")) for other in places)
    )


def differences(upstream: Any, native: Any) -> tuple[list[str], list[str], list[str]]:
    """Return what the native answer lacks, what it has beside, and where a type differs (`place: these / those`).

    A list that is empty in either answer says nothing of its items; null is as good as not there.
    """
    theirs, ours = shape(upstream), shape(native)
    lacks = {place for place in theirs.keys() - ours.keys() if theirs[place] != {"null"} and not _unseen(place, ours)}
    adds = {place for place in ours.keys() - theirs.keys() if ours[place] != {"null"} and not _unseen(place, theirs)}
    other = [
        f"{place}: {_kinds(theirs[place])} / {_kinds(ours[place])}"
        for place in sorted(theirs.keys() & ours.keys())
        if not theirs[place] & ours[place] and "null" not in theirs[place] | ours[place]
    ]
    return outermost(lacks), outermost(adds), other


def _unseen(place: str, seen: Shape) -> bool:
    """Whether the place lies in a list, or table, that was empty there."""
    return any(sign == "[" and place[:at] in seen and f"{place[:at]}[]" not in seen for at, sign in enumerate(place))


def _kinds(kinds: set[str]) -> str:
    return "|".join(sorted(kinds))
