"""pydantic's findings as sentences: which field, what is wrong, what to do."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Union

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tenant_api.config.paths import format_path
from tenant_api.tenant import NEVER_IN_CLEAR, Token

FieldPath = tuple[str | int, ...]

_CLEAR_KEYS: Final = frozenset({"token", "value", "secret", "password", "plain", "plaintext", "clear", "raw", "hash"})
"""What people write in a token's entry where its hash should be."""

_EXPECTED: Final[dict[str, tuple[str, str]]] = {
    "string_type": ("is no text", "write it in quotes"),
    "int_type": ("is no whole number", "write digits without quotes"),
    "int_from_float": ("is no whole number", "leave the fraction out"),
    "bool_type": ("is neither true nor false", "write true or false without quotes"),
    "float_type": ("is no number", "write it without quotes"),
    "dict_type": ("is no mapping", "write 'key: value' lines below it"),
    "list_type": ("is no list", "write '- ' items below it"),
    "model_type": ("is no mapping", "write its fields below it"),
    "model_attributes_type": ("is no mapping", "write its fields below it"),
    "datetime_type": ("is no time", "write e.g. 2030-01-31T12:00:00Z"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a resource."""

    field: FieldPath
    message: str
    """What is wrong, as a clause whose subject is the field."""
    hint: str = ""
    """What to do about it."""
    of_key: bool = False
    """Whether the key itself is wrong, not its value."""

    def __str__(self) -> str:
        return f"{format_path(self.field)}: {self.message}" + (f" ({self.hint})" if self.hint else "")


def findings(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """Yield what a model found wrong. Never repeats a value: it may be a token."""
    for details in error.errors(include_url=False, include_input=True):
        yield _finding(details, model)


def _finding(details: ErrorDetails, model: type[BaseModel]) -> Finding:
    path: FieldPath = tuple(part for part in details["loc"] if part != "[key]")
    of_key = "[key]" in details["loc"]
    context = details.get("ctx", {})
    kind = details["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind == "missing":
        # The value may be given in clear under another key; that key's finding says so.
        return Finding(path, "is missing", f"add {path[-1]}")
    if "problem" in context:
        at: Sequence[str | int] = context.get("at", ())
        return Finding((*path, *at), str(context["problem"]), str(context.get("hint", "")), of_key=of_key)
    if kind == "literal_error":
        return Finding(
            path, f"must be {context['expected']}", _nearest_literal(details["input"], str(context["expected"]))
        )
    if kind in _EXPECTED:
        message, hint = _EXPECTED[kind]
        if kind == "string_type" and isinstance(details["input"], bool | int | float):
            hint = "write it in quotes: YAML reads it as " + (
                "true or false" if isinstance(details["input"], bool) else "a number"
            )
        if details["input"] is None:
            message, hint = "is empty", "give it a value or remove the key"
        return Finding(path, message, hint, of_key=of_key)
    text = details["msg"]
    return Finding(path, text[:1].lower() + text[1:], of_key=of_key)


def _nearest_literal(value: object, expected: str) -> str:
    choices = [part.strip(" '") for part in expected.replace(" or ", ",").split(",")]
    near = difflib.get_close_matches(str(value)[:64].lower(), [choice.lower() for choice in choices], 1, 0.6)
    for choice in choices:
        if near and choice.lower() == near[0]:
            return f"write {choice}"
    return ""


def _unknown_key(path: FieldPath, model: type[BaseModel]) -> Finding:
    parent, key = _model_at(model, path[:-1]), str(path[-1])
    if parent is Token and key.lower() in _CLEAR_KEYS:
        return Finding(path, "is no field of a token", NEVER_IN_CLEAR, of_key=True)
    known = [field.alias or name for name, field in parent.model_fields.items()] if parent is not None else []
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(key[:64].lower().replace("_", "").replace("-", ""), lowered, 1, 0.6)
    others = f"fields here are {', '.join(known)}" if known else ""
    hint = f"did you mean {lowered[near[0]]!r}?" if near else others
    return Finding(path, "is no field that there is", hint, of_key=True)


def _model_at(model: type[BaseModel], path: FieldPath) -> type[BaseModel] | None:
    """Return the model of the object at a path, if it is one."""
    annotation: Any = model
    for segment in path:
        current = _plain(annotation)
        if isinstance(segment, int):
            arguments = typing.get_args(current)
            annotation = arguments[0] if arguments else None
        elif isinstance(current, type) and issubclass(current, BaseModel):
            fields = {field.alias or name: field for name, field in current.model_fields.items()}
            annotation = fields[segment].annotation if segment in fields else None
        elif typing.get_origin(current) is dict:
            annotation = typing.get_args(current)[1]
        else:
            return None
    current = _plain(annotation)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _plain(annotation: Any) -> Any:
    """Return an annotation without Annotated and without `| None`."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in (Union, UnionType):
            annotation = next(part for part in typing.get_args(annotation) if part is not type(None))
        else:
            return annotation
