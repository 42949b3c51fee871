"""A token into or out of a YAML text, touching nothing else: every comment, blank and quote stays as it was.

A round trip through a YAML library re-indents lists and drops alignment; so the text is cut and spliced at the places that
the parser tells, and the result is parsed again and compared with what was meant before anybody gets it.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tenant_api.documents import PARSER_ERRORS, Document, compose_nodes, read_documents, split_documents

# Words that some YAML reader or other takes for a boolean, a null or a number.
_NEEDS_QUOTES: Final = re.compile(r"(?![a-z][a-z0-9-]*\Z)|(true|false|null|yes|no|on|off|y|n)\Z")


@dataclass(slots=True, eq=False)
class TokenEditError(Exception):
    """The text can't be edited as asked; it stays as it was."""

    message: str
    hint: str = ""

    def __str__(self) -> str:
        return self.message + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """An entry of `Tenant.spec.tokens`."""

    name: str
    sha256: str
    expires_at: datetime | None = None

    def fields(self) -> dict[str, str]:
        """Return the entry as the resource has it."""
        fields = {"name": self.name, "sha256": self.sha256}
        if self.expires_at is not None:
            fields["expiresAt"] = self.expires_at.isoformat(timespec="seconds").replace("+00:00", "Z")
        return fields


def with_token(text: str, tenant: str, entry: TokenEntry) -> str:
    """Return the text of a YAML file with a token added to one of its tenants.

    Raises
    ------
    TokenEditError
        The tenant is not there, has a token of this name, or stands in YAML too unusual to be edited safely.
    """
    place = _find(text, tenant)
    tokens = place.tokens()
    if any(isinstance(token, dict) and token.get("name") == entry.name for token in tokens):
        raise TokenEditError(
            f"tenant {tenant!r} has a token named {entry.name!r} already", "take another name, or remove it first"
        )
    expected = copy.deepcopy(place.values)
    expected[place.index]["spec"]["tokens"] = [*tokens, entry.fields()]
    return _checked(place.spliced(_addition(place, entry)), expected)


def without_token(text: str, tenant: str, name: str) -> str:
    """Return the text of a YAML file with a token removed from one of its tenants.

    Raises
    ------
    TokenEditError
        Tenant or token is not there, or stands in YAML too unusual to be edited safely.
    """
    place = _find(text, tenant)
    tokens = place.tokens()
    names = [token.get("name") if isinstance(token, dict) else None for token in tokens]
    if name not in names:
        known = ", ".join(str(other) for other in names if other) or "none"
        raise TokenEditError(f"tenant {tenant!r} has no token named {name!r}", f"its tokens are: {known}")
    index = names.index(name)
    expected = copy.deepcopy(place.values)
    expected[place.index]["spec"]["tokens"] = tokens[:index] + tokens[index + 1 :]
    return _checked(place.spliced(_removal(place, index)), expected)


def has_tenant(text: str, tenant: str) -> bool:
    """Tell whether a YAML text has a document for a tenant."""
    try:
        _find(text, tenant)
    except TokenEditError:
        return False
    return True


@dataclass(slots=True)
class _Place:
    """A tenant's document in a file."""

    before: str
    text: str
    after: str
    root: MappingNode
    spec: MappingNode
    values: list[Any]
    index: int

    def tokens(self) -> list[Any]:
        tokens = self.values[self.index]["spec"].get("tokens")
        if tokens is not None and not isinstance(tokens, list):
            raise TokenEditError("spec.tokens is no list", "repair the file first")
        return tokens or []

    def spliced(self, text: str) -> str:
        return self.before + text + self.after

    @property
    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def line_end(self, index: int) -> int:
        """Return where the line that the index stands on ends, before its newline."""
        end = self.text.find("\n", index)
        end = len(self.text) if end < 0 else end
        return end - 1 if end > index and self.text[end - 1] == "\r" else end

    def line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1


def _values(text: str) -> list[Any]:
    result: list[Any] = []
    for _, part in split_documents(text):
        for document in read_documents(part):
            if not isinstance(document, Document):
                result.append(str(document))
            else:
                result.append(document.value)
    return result


def _find(text: str, tenant: str) -> _Place:
    values: list[Any] = []
    found: tuple[int, str, int] | None = None
    offset = 0
    for _, part in split_documents(text):
        for document in read_documents(part):
            value = document.value if isinstance(document, Document) else str(document)
            if found is None and _is_tenant(value, tenant):
                found = (offset, part, len(values))
            values.append(value)
        offset += len(part)
    if found is None:
        raise TokenEditError(f"there is no tenant {tenant!r}")
    offset, part, index = found
    try:
        roots = list(compose_nodes(part))
    except PARSER_ERRORS:
        roots = []
    root = next((root for root in roots if isinstance(root, MappingNode)), None)
    spec = _pair(root, "spec")[1] if root is not None else None
    if len(roots) != 1 or root is None or not isinstance(spec, MappingNode):
        raise _unusual()
    return _Place(text[:offset], part, text[offset + len(part) :], root, spec, values, index)


def _is_tenant(value: Any, tenant: str) -> bool:
    if not isinstance(value, dict) or value.get("kind") != "Tenant" or not isinstance(value.get("spec"), dict):
        return False
    metadata = value.get("metadata")
    return isinstance(metadata, dict) and metadata.get("name") == tenant


def _unusual() -> TokenEditError:
    return TokenEditError("the file is too unusual to be edited safely", "edit spec.tokens by hand")


def _checked(text: str, expected: list[Any]) -> str:
    if _values(text) != expected:
        raise _unusual()
    return text


def _pair(mapping: Node, key: str) -> tuple[ScalarNode | None, Node | None]:
    if isinstance(mapping, MappingNode):
        for key_node, value_node in mapping.value:
            if isinstance(key_node, ScalarNode) and key_node.value == key:
                return key_node, value_node
    return None, None


def _end(node: Node) -> int:
    """Return where the text of a node ends; a block collection's own end mark lies behind the comments that follow."""
    if isinstance(node, MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _addition(place: _Place, entry: TokenEntry) -> str:
    text = place.text
    key, value = _pair(place.spec, "tokens")
    quoted = bool(place.root.flow_style)
    if place.spec.flow_style:
        if isinstance(value, SequenceNode) and value.flow_style and value.value:
            return _insert(text, _end(value.value[-1]), ", " + _flow(entry, quoted))
        listed = f"[{_flow(entry, quoted)}]"
        if value is not None:
            start = value.start_mark.index
            return text[:start] + (" " if text[start - 1] == ":" else "") + listed + text[value.end_mark.index :]
        _, last = place.spec.value[-1]
        return _insert(text, _end(last), f", {json.dumps('tokens') if quoted else 'tokens'}: {listed}")
    if isinstance(value, SequenceNode) and value.value:
        if value.flow_style:
            return _insert(text, _end(value.value[-1]), ", " + _flow(entry, quoted))
        lines = _block(entry, value.start_mark.column, flow=bool(value.value[-1].flow_style), newline=place.newline)
        return _insert(text, place.line_end(_end(value.value[-1])), place.newline + lines)
    indent = int(place.spec.start_mark.column)
    lines = _block(entry, indent + 2, flow=False, newline=place.newline)
    if key is not None and value is not None:
        # `tokens: []`, `tokens: ~` or `tokens:`: the empty value goes, a comment on its line stays.
        start, end = value.start_mark.index, value.end_mark.index
        if start > key.end_mark.index and text[start:end].strip():
            start = len(text[:start].rstrip(" "))
            text = text[:start] + text[end:]
        changed = _Place(place.before, text, place.after, place.root, place.spec, place.values, place.index)
        return _insert(text, changed.line_end(key.end_mark.index), place.newline + lines)
    _, ref = _pair(place.spec, "templateRef")
    added = " " * indent + "tokens:" + place.newline + lines
    if ref is not None:
        return _insert(text, place.line_end(_end(ref)), place.newline + added)
    return _insert(text, place.line_start(place.spec.start_mark.index), added + place.newline)


def _removal(place: _Place, index: int) -> str:
    text = place.text
    key, value = _pair(place.spec, "tokens")
    if key is None or not isinstance(value, SequenceNode):
        raise _unusual()
    items: list[Node] = value.value
    item = items[index]
    if value.flow_style:
        if index + 1 < len(items):
            return text[: item.start_mark.index] + text[items[index + 1].start_mark.index :]
        start = _end(items[index - 1]) if index else item.start_mark.index
        return text[:start] + text[_end(item) :]
    start = place.line_start(item.start_mark.index)
    column = int(value.start_mark.column)
    while start > 0 and text[start + column : start + column + 1] != "-":
        start = place.line_start(start - 1)
    end = place.line_end(_end(item))
    end += len(place.newline) if end < len(text) else 0
    text = text[:start] + text[end:]
    if len(items) == 1:
        colon = text.index(":", key.end_mark.index) + 1
        text = _insert(text, colon, " []")
    return text


def _insert(text: str, index: int, addition: str) -> str:
    return text[:index] + addition + text[index:]


def _scalar(value: str, quoted: bool) -> str:
    return json.dumps(value) if quoted or _NEEDS_QUOTES.match(value) else value


def _flow(entry: TokenEntry, quoted: bool) -> str:
    pairs = [
        f"{_scalar(key, quoted) if quoted else key}: {_scalar(value, quoted)}" for key, value in entry.fields().items()
    ]
    return "{" + ", ".join(pairs) + "}"


def _block(entry: TokenEntry, column: int, *, flow: bool, newline: str) -> str:
    indent = " " * column
    if flow:
        return f"{indent}- {_flow(entry, quoted=False)}"
    pairs = [f"{key}: {_scalar(value, quoted=False)}" for key, value in entry.fields().items()]
    return f"{indent}- " + f"{newline}{indent}  ".join(pairs)
