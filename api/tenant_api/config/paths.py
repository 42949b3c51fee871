"""Paths into a config: `gateway.auth`, `models.providers.*.baseUrl`, `models.providers["my.provider"]`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

Path = tuple[str, ...]

_SEGMENT = re.compile(r'(?:(?:^|\.)(?P<plain>[^.\[\]"\s]+))|\[(?P<quoted>"(?:[^"\\\x00-\x1f]|\\.)*")\]')
_PLAIN = re.compile(r'[^.\[\]"\s*?]+\Z')


def parse_path(text: str) -> Path:
    """Return the segments of a dotted path. In a segment `*` stands for any run of characters, alone for any key.

    Raises
    ------
    ValueError
        The text is no path.
    """
    segments: list[str] = []
    position = 0
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if match is None or (match.group("plain") and (text[position] == ".") != (position > 0)):
            raise ValueError(f"is no config path at character {position + 1}")
        quoted = match.group("quoted")
        segments.append(_literal(json.loads(quoted)) if quoted else match.group("plain"))
        position = match.end()
    if not segments:
        raise ValueError("is no config path but empty")
    return tuple(segments)


def _literal(key: str) -> str:
    return re.sub(r"[*?\[]", lambda match: f"[{match.group()}]", key)


def format_path(path: Iterable[str | int]) -> str:
    """Return a path in the spelling that `parse_path` reads; list indices as `[0]`."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        elif _PLAIN.match(segment):
            text += f".{segment}" if text else segment
        else:
            text += f"[{json.dumps(segment, ensure_ascii=False)}]"
    return text


def touched(overlay: object, patterns: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield each (path in the overlay, pattern) where merging the overlay could change what the pattern names.

    That is where the overlay has a value at the pattern's path, or replaces or removes an object above it. An empty
    object above a path changes nothing and touches nothing.
    """
    for pattern in patterns:
        yield from ((path, pattern) for path in _touched(overlay, pattern, ()))


def _touched(node: object, pattern: Path, path: Path) -> Iterator[Path]:
    depth = len(path)
    if depth == len(pattern) or (depth and not isinstance(node, dict)):
        yield path
    elif isinstance(node, dict):
        for key, child in node.items():
            if fnmatchcase(key, pattern[depth]):
                yield from _touched(child, pattern, (*path, key))
