"""JSON5 text to plain values, with the line and column of whatever is wrong (https://spec.json5.org/).

The `json5` package reads 40 KB/s and stops at its own recursion limit; this reads a config in about a millisecond and is
tested against it. Stricter than JSON5 in one point: a key that is there twice is an error, because it is a mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tenant_api.plain_json import MAX_DEPTH, Json

MAX_CHARS: Final = 256 * 1024
"""Longest text; four times what a template may have, so that rendering may unfold labels and loops."""

MAX_NUMBER_CHARS: Final = 330
"""Longest number literal: enough for every double, and far from Python's limit for integers (4,300 digits)."""

_LINE_END = r"\n\r\u2028\u2029"
_SPACE = re.compile(
    rf"(?:[\t\v\f \xa0\ufeff\u1680\u2000-\u200a\u202f\u205f\u3000{_LINE_END}]+|//[^{_LINE_END}]*|/\*.*?\*/)*", re.DOTALL
)
_STRING = re.compile(
    r'"[^"\\\n\r]*(?:\\(?:\r\n|.)[^"\\\n\r]*)*"' + "|" + r"'[^'\\\n\r]*(?:\\(?:\r\n|.)[^'\\\n\r]*)*'", re.DOTALL
)
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<hex>0[xX][0-9a-fA-F]+)|(?P<float>(?:0|[1-9][0-9]*)\.[0-9]*(?:[eE][+-]?[0-9]+)?"
    r"|\.[0-9]+(?:[eE][+-]?[0-9]+)?|(?:0|[1-9][0-9]*)[eE][+-]?[0-9]+)|(?P<int>0|[1-9][0-9]*)|(?P<word>Infinity|NaN))"
    r"(?![\w$.])"
)
_IDENTIFIER = re.compile(r"(?:[^\W\d]|[$_]|\\u[0-9a-fA-F]{4})(?:[\w$\u200c\u200d]|\\u[0-9a-fA-F]{4})*")
_WORD = re.compile(r"(?:true|false|null)(?![\w$])")
_ESCAPE = re.compile(
    rf"\\(?:x([0-9a-fA-F]{{2}})|u([0-9a-fA-F]{{4}})|(\r\n|[{_LINE_END}])|(0(?![0-9]))|([^0-9xu]))", re.DOTALL
)
_LINES = re.compile(rf"\r\n|[{_LINE_END}]")
_CHARS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


@dataclass(slots=True, eq=False)
class Json5Error(Exception):
    """The text is no JSON5."""

    message: str
    """What is wrong, as a clause without a subject."""
    line: int
    """Line, from 1."""
    column: int
    """Column in characters, from 1."""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


def parse_json5(text: str) -> Json:
    """Return the value of a JSON5 text. Numbers like NaN and Infinity come through as floats.

    Raises
    ------
    Json5Error
        The text is no JSON5, is too long, or is nested too deep.
    """
    if len(text) > MAX_CHARS:
        raise Json5Error(f"has more than {MAX_CHARS} characters", 1, 1)
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def document(self) -> Json:
        value = self.value(0)
        if self.peek():
            raise self.error(f"unexpected {self.found()} after the value")
        return value

    def error(self, message: str, position: int | None = None) -> Json5Error:
        position = self.position if position is None else position
        starts = [match.end() for match in _LINES.finditer(self.text, 0, position)]
        return Json5Error(message, len(starts) + 1, position - (starts[-1] if starts else 0) + 1)

    def found(self) -> str:
        return repr(self.text[self.position]) if self.position < len(self.text) else "end of the text"

    def peek(self) -> str:
        match = _SPACE.match(self.text, self.position)
        assert match is not None
        self.position = match.end()
        if self.text.startswith("/*", self.position):
            raise self.error("comment is never closed")
        return self.text[self.position : self.position + 1]

    def value(self, depth: int) -> Json:
        char = self.peek()
        if char in ("{", "["):
            if depth >= MAX_DEPTH:
                raise self.error(f"is nested deeper than {MAX_DEPTH} levels")
            self.position += 1
            return self.object(depth) if char == "{" else self.array(depth)
        if char in ('"', "'"):
            return self.string()
        if match := _WORD.match(self.text, self.position):
            self.position = match.end()
            return _WORDS[match.group()]
        if match := _NUMBER.match(self.text, self.position):
            return self.number(match)
        if match := _IDENTIFIER.match(self.text, self.position):
            raise self.error(f"unexpected {match.group()[:40]!r}: a text needs quotes")
        raise self.error(f"unexpected {self.found()} where a value should be")

    def number(self, match: re.Match[str]) -> int | float:
        if match.end() - match.start() > MAX_NUMBER_CHARS:
            raise self.error(f"number has more than {MAX_NUMBER_CHARS} characters")
        self.position = match.end()
        sign = -1 if match.group("sign") == "-" else 1
        if digits := match.group("hex"):
            return sign * int(digits, 16)
        if digits := match.group("int"):
            return sign * int(digits)
        return sign * float(match.group("float") or match.group("word"))

    def string(self) -> str:
        start = self.position
        match = _STRING.match(self.text, start)
        if match is None:
            raise self.error("string is never closed on its line")
        self.position = match.end()
        raw = match.group()[1:-1]
        return self.unescape(raw, start + 1) if "\\" in raw else raw

    def unescape(self, raw: str, start: int) -> str:
        parts: list[str] = []
        position = 0
        while (backslash := raw.find("\\", position)) >= 0:
            match = _ESCAPE.match(raw, backslash)
            if match is None:
                raise self.error(f"unknown escape {raw[backslash : backslash + 2]!r}", start + backslash)
            parts.append(raw[position:backslash])
            if code := match.group(1) or match.group(2):
                parts.append(chr(int(code, 16)))
            elif match.group(4):
                parts.append("\0")
            elif char := match.group(5):
                parts.append(_CHARS.get(char, char))
            position = match.end()
        parts.append(raw[position:])
        # Two escapes may make one character: "\ud83d\ude00".
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def key(self) -> str:
        if self.text[self.position] in "\"'":
            return self.string()
        match = _IDENTIFIER.match(self.text, self.position)
        if match is None:
            raise self.error(f"unexpected {self.found()} where a key should be")
        start = self.position
        self.position = match.end()
        name = match.group()
        return self.unescape(name, start) if "\\" in name else name

    def object(self, depth: int) -> Json:
        result: dict[str, Json] = {}
        while (char := self.peek()) != "}":
            if not char:
                raise self.error("object is never closed")
            start = self.position
            key = self.key()
            if key in result:
                raise self.error(f"key {key[:80]!r} is there twice", start)
            if self.peek() != ":":
                raise self.error(f"unexpected {self.found()} where ':' should be")
            self.position += 1
            result[key] = self.value(depth + 1)
            self.separator("}")
        self.position += 1
        return result

    def array(self, depth: int) -> Json:
        result: list[Json] = []
        while (char := self.peek()) != "]":
            if not char:
                raise self.error("list is never closed")
            result.append(self.value(depth + 1))
            self.separator("]")
        self.position += 1
        return result

    def separator(self, closing: str) -> None:
        char = self.peek()
        if char == ",":
            self.position += 1
        elif char != closing:
            raise self.error(f"unexpected {self.found()} where ',' or {closing!r} should be")
