"""YAML text to plain values that know where they stand, within bounds.

ruamel.yaml parses to nodes; the values are made here, by YAML 1.2's core schema: no dates, no tags that make objects, no
octal by a leading zero. Aliases are copied as often as they are used, and every copy counts, so that a few lines can't
unfold to gigabytes ("billion laughs").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner, ScannerError

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""Longest file. 10,000 tenants of ordinary size are 3 MB, which take 12 s to read."""

MAX_VALUES: Final = 50_000
"""Values in one document, aliases unfolded; twice what the largest overlay may have."""

MAX_DEPTH: Final = 64
"""Levels of one document: that of a config, its resource around it, and room for a clear error."""

FieldPath = tuple[str | int, ...]

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
PARSER_ERRORS: Final = (YAMLError, RecursionError, ValueError, AttributeError, TypeError, LookupError, AssertionError)
"""What ruamel.yaml raises for texts that are no YAML; some get exceptions that are no YAMLError."""

_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_INT = re.compile(r"[-+]?[0-9]{1,300}\Z|0o[0-7]{1,100}\Z|0x[0-9a-fA-F]{1,100}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_DOCUMENT_START = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_EMPTY = re.compile(r"(?:---)?(?:\s|(?:(?<=\s)|\A)#[^\n]*+)*+\Z")
_BLOCK_START = re.compile(r"[^\n]*\n(?: *\n)*( *)")
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file, from 1."""

    line: int
    column: int


@dataclass(slots=True, eq=False)
class DocumentError(Exception):
    """A text is no YAML that a resource can be."""

    message: str
    position: Position
    field: FieldPath = ()
    hint: str = ""

    def __str__(self) -> str:
        return f"line {self.position.line}, column {self.position.column}: {self.message}"


@dataclass(slots=True)
class Document:
    """One YAML document: its value and where each part of it stands."""

    value: Any
    start: Position
    keys: dict[FieldPath, Position] = field(default_factory=dict)
    values: dict[FieldPath, Position] = field(default_factory=dict)
    block_texts: dict[FieldPath, Position] = field(default_factory=dict)
    """For texts written as `|` blocks: where their first character stands."""

    def listed(self, key: str) -> list[Document]:
        """Return each entry of the list below a key as a document of its own."""
        entries = self.value.get(key) if isinstance(self.value, dict) else None
        result = [
            Document(value, self.position((key, index)))
            for index, value in enumerate(entries if isinstance(entries, list) else [])
        ]
        for name in ("keys", "values", "block_texts"):
            for path, position in getattr(self, name).items():
                if path[:1] == (key,) and len(path) > 1:
                    getattr(result[path[1]], name)[path[2:]] = position
        return result

    def position(self, path: FieldPath, *, of_key: bool = False) -> Position:
        """Return where a field stands, or the nearest of those above it that is there."""
        places = (self.keys, self.values) if of_key else (self.values, self.keys)
        while path:
            for place in places:
                if path in place:
                    return place[path]
            path = path[:-1]
        return self.start


def split_documents(text: str) -> list[tuple[int, str]]:
    """Return the documents of a file as texts, each with the number of lines before it.

    A line that starts with `---` starts a document wherever it stands, even in a quoted or block text (YAML 1.2, 9.1.2), so
    that a document can be cut out before it is known to be sound, and a broken one does not hide the others.
    """
    if re.search(r"^%", text, re.MULTILINE):
        return [(0, text)]  # directives stand before the line that starts their document
    starts = [match.start() for match in _DOCUMENT_START.finditer(text)]
    bounds = [0, *(start for start in starts if start), len(text)]
    result: list[tuple[int, str]] = []
    line = 0
    for start, end in pairwise(bounds):
        result.append((line, text[start:end]))
        line += text.count("\n", start, end)
    return result


class _BoundedScanner(Scanner):
    """Stops where nesting gets deeper than any resource: the scanner's own time grows with its square."""

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:  # noqa: N803  (called by keyword)
        super().fetch_flow_collection_start(TokenClass, to_push)
        if len(self.flow_context) > MAX_DEPTH:
            raise ScannerError(None, None, _TOO_DEEP, self.reader.get_mark())

    def add_indent(self, column: int) -> bool:
        deeper = bool(super().add_indent(column))
        if len(self.indents) > MAX_DEPTH:
            raise ScannerError(None, None, _TOO_DEEP, self.reader.get_mark())
        return deeper


def compose_nodes(text: str) -> Iterator[Node]:
    """Yield the node trees of a text's documents.

    Raises
    ------
    YAMLError, or another of `PARSER_ERRORS`
        The text is no YAML, or nested too deep.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _BoundedScanner
    yaml.composer.warn_double_anchors = False
    yield from yaml.compose_all(text)


def read_documents(text: str) -> Iterator[Document | DocumentError]:
    """Yield the documents of a text; what is wrong with one is yielded in its place. Empty documents are left out.

    After a syntax error nothing more of the text can be read. Never raises for any text.
    """
    if _EMPTY.match(text):
        return
    nodes = compose_nodes(text)
    while True:
        try:
            node = next(nodes, None)
        except PARSER_ERRORS as error:
            yield _syntax_error(error)
            return
        if node is None:
            return
        if isinstance(node, ScalarNode) and node.value in _NULLS and not node.style:
            continue
        try:
            yield _Builder(node, text).document()
        except DocumentError as error:
            yield error


def _position(node: Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_error(error: Exception) -> DocumentError:
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        position = Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)
        message = " ".join(part for part in (error.problem, error.context) if part)
        return DocumentError(
            f"is no YAML: {message}", position, hint="check indentation, quotes and colons near this line"
        )
    if isinstance(error, RecursionError):
        return DocumentError(f"is nested deeper than {MAX_DEPTH} levels", Position(1, 1), hint="no resource is")
    mark = getattr(error, "position", None)
    text = " ".join(str(error).split())[:200] or type(error).__name__
    where = f" at character {mark + 1}" if isinstance(mark, int) else ""
    return DocumentError(f"is no YAML{where}: {text}", Position(1, 1), hint="YAML files are UTF-8 text")


class _Builder:
    def __init__(self, root: Node, text: str) -> None:
        self.root = root
        self.text = text
        self.result = Document(None, _position(root))
        self.count = 0

    def document(self) -> Document:
        self.result.value = self.value(self.root, (), set())
        return self.result

    def value(self, node: Node, path: FieldPath, above: set[int]) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise DocumentError(
                f"has more than {MAX_VALUES} values, aliases unfolded", _position(self.root), hint="use fewer aliases"
            )
        if id(node) in above:
            raise DocumentError("contains itself by an alias", _position(node), path, hint="remove the alias")
        if len(above) > MAX_DEPTH:
            raise DocumentError(
                f"is nested deeper than {MAX_DEPTH} levels", _position(node), path, hint="no resource is"
            )
        self.result.values[path] = _position(node)
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        self.refuse_tag(node, path)
        above.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self.mapping(node, path, above)
            assert isinstance(node, SequenceNode)
            return [self.value(item, (*path, index), above) for index, item in enumerate(node.value)]
        finally:
            above.discard(id(node))

    def mapping(self, node: MappingNode, path: FieldPath, above: set[int]) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise DocumentError(
                    "has a key that is no text", _position(key_node), path, hint="quote it if it starts with { or ["
                )
            key = key_node.value
            if key == _MERGE and not key_node.style:
                self.merge(value_node, path, above, merged)
                continue
            plain = self.scalar(key_node, path)
            if not isinstance(plain, str):
                raise DocumentError(
                    f"has a key that is no text: {key[:80]}",
                    _position(key_node),
                    (*path, key),
                    hint=f'write "{key[:80]}" in quotes',
                )
            if key in result:
                raise DocumentError(
                    f"key {key[:80]!r} is there twice", _position(key_node), (*path, key), hint="remove one of them"
                )
            self.result.keys[*path, key] = _position(key_node)
            result[key] = self.value(value_node, (*path, key), above)
        return {**merged, **result}

    def merge(self, node: Node, path: FieldPath, above: set[int], into: dict[Any, Any]) -> None:
        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, MappingNode):
                raise DocumentError(
                    "'<<' merges a mapping only", _position(source), path, hint="write '<<: *name' of a mapping"
                )
            for key, value in self.value(source, path, above).items():
                into.setdefault(key, value)

    def scalar(self, node: ScalarNode, path: FieldPath) -> Any:
        tag = self.refuse_tag(node, path)
        text = str(node.value)
        if node.style in ("|", ">"):
            if node.style == "|":
                self.result.block_texts[path] = self.block_start(node)
            return text
        if node.style or tag == "str":
            return text
        if tag is None or tag in ("null", "bool", "int", "float"):
            value = _core_schema(text)
            if tag is not None and type(value).__name__ != {"null": "NoneType"}.get(tag, tag):
                raise DocumentError(f"is no {tag}", _position(node), path, hint="remove the tag")
            return value
        return text

    def block_start(self, node: ScalarNode) -> Position:
        match = _BLOCK_START.match(self.text, node.start_mark.index)
        return Position(node.start_mark.line + 2, len(match.group(1)) + 1 if match is not None else 1)

    def refuse_tag(self, node: Node, path: FieldPath) -> str | None:
        """Return the short name of an explicit tag, if it is one of the core schema's."""
        tag = node.ctag
        name = str(node.tag)
        if tag is None or (tag.handle is None and name.startswith(_TAG)):
            return None
        short = name.removeprefix(_TAG)
        if short not in {"str", "null", "bool", "int", "float", "map", "seq"}:
            raise DocumentError(f"has the tag {name[:80]!r}", _position(node), path, hint="remove the tag")
        return short


def _core_schema(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.match(text):
        return int(text, 8) if text.startswith("0o") else int(text, 16) if text.startswith("0x") else int(text)
    if _FLOAT.match(text):
        return float(text)
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    return text
