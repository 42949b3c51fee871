"""jinja2's sandbox, made smaller: mappings and lists only, a few filters, every one of them counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined, UndefinedError, pass_context
from jinja2.filters import do_default
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment

from tenant_api.config.template_budget import MAX_STRING, Budget, BudgetExceeded

BUDGET: Final = "_budget"
"""Name of the budget in the context; templates can't say names with an underscore at the start."""

_LOOP_FACTS = frozenset({"index", "index0", "first", "last", "length", "revindex", "revindex0"})
_NAMED_TESTS = ("defined", "undefined", "none", "string", "number", "mapping", "boolean", "true", "false", "integer")
_STRING_ESCAPES = {"\u2028": "\\u2028", "\u2029": "\\u2029", "'": "\\u0027"}


class RawJson(str):
    """Text that is JSON already (`| tojson`) and is put in as it is."""

    __slots__ = ()


def _budget(context: Context) -> Budget:
    budget = context[BUDGET]
    assert isinstance(budget, Budget)
    return budget


def _plain(value: object) -> object:
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises, with the name that is missing
    return value


def _refuse_value(value: object) -> object:
    raise UndefinedError(f"a {type(value).__name__} can't be written")


def to_json(value: object) -> str:
    """Return a value as JSON that is valid in JSON5, in and out of quotes."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), default=_refuse_value, allow_nan=False)
    for char, escape in _STRING_ESCAPES.items():
        text = text.replace(char, escape)
    return text


def to_text(value: object) -> str:
    """Return what `{{ value }}` writes: a string escaped for the inside of quotes, anything else as JSON."""
    if isinstance(value, RawJson):
        return str(value)
    text = to_json(value)
    return text[1:-1] if isinstance(value, str) else text


def _string(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)


@pass_context
def _filter_concat(context: Context, values: list[object]) -> str:
    return _budget(context).built("".join(map(_string, values)))


@pass_context
def _filter_counted(context: Context, values: Any, cost: int) -> Iterator[object]:
    budget = _budget(context)
    if not isinstance(_plain(values), Mapping | list | tuple):
        raise UndefinedError("a loop goes over a list or a mapping")
    for value in values:
        budget.step(cost)
        yield value


@pass_context
def _filter_emit(context: Context, value: object, offset: int, literal: bool) -> str:
    budget = _budget(context)
    budget.emit(str(value) if literal else budget.built(to_text(value)), offset, literal=literal)
    return ""


@pass_context
def _filter_tojson(context: Context, value: object) -> RawJson:
    return RawJson(_budget(context).built(to_json(value)))


@pass_context
def _filter_replace(context: Context, text: object, old: object, new: object) -> str:
    before, old_text, new_text = _string(_plain(text)), _string(old), _string(new)
    count = before.count(old_text) if old_text else len(before) + 1
    if len(before) + count * len(new_text) > 2 * MAX_STRING:
        raise BudgetExceeded(f"builds a text of more than {MAX_STRING} characters")
    return _budget(context).built(before.replace(old_text, new_text))


@pass_context
def _filter_join(context: Context, values: Iterable[object], separator: object = "") -> str:
    parts = [_string(value) for value in values] if isinstance(_plain(values), Mapping | list | tuple) else []
    separator = _string(separator)
    if len(separator) * len(parts) > MAX_STRING:
        raise BudgetExceeded(f"builds a text of more than {MAX_STRING} characters")
    return _budget(context).built(separator.join(parts))


def _cased(method: str) -> Any:
    @pass_context
    def apply(context: Context, value: object) -> str:
        return _budget(context).built(getattr(_string(_plain(value)), method)())

    return apply


def _filter_int(value: object, default: int = 0) -> int:
    try:
        return int(_string(_plain(value))[:40])
    except ValueError:
        return default


def _filter_length(value: object) -> int:
    if not isinstance(_plain(value), str | Mapping | list | tuple):
        raise UndefinedError("length is that of a text, a list or a mapping")
    return len(value)  # type: ignore[arg-type]


def _filter_items(value: object) -> list[tuple[object, object]]:
    _plain(value)
    if not isinstance(value, Mapping):
        raise UndefinedError("items are those of a mapping")
    return list(value.items())


FILTERS: Final[dict[str, Any]] = {
    "default": do_default,
    "d": do_default,
    "lower": _cased("lower"),
    "upper": _cased("upper"),
    "trim": _cased("strip"),
    "tojson": _filter_tojson,
    "replace": _filter_replace,
    "join": _filter_join,
    "int": _filter_int,
    "length": _filter_length,
    "count": _filter_length,
    "items": _filter_items,
}
"""What a template may write after `|`."""

_INNER_FILTERS: Final[dict[str, Any]] = {"_concat": _filter_concat, "_counted": _filter_counted, "_emit": _filter_emit}


class TemplateEnvironment(SandboxedEnvironment):
    """Compiles what `template_syntax` let through. Without state: budgets travel in the context."""

    intercepted_binops = frozenset({"+"})

    def __init__(self) -> None:
        # Not optimized: constants would be folded while compiling, before anybody counts.
        super().__init__(undefined=StrictUndefined, optimized=False, autoescape=False, keep_trailing_newline=True)
        self.globals.clear()
        self.filters = FILTERS | _INNER_FILTERS
        tests = self.tests
        self.tests = {name: tests[name] for name in _NAMED_TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an entry of a mapping, or a fact of `loop`. Python's attributes are out of reach."""
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in _LOOP_FACTS else self.undefined(obj=obj, name=attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an entry of a mapping or list."""
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list | tuple) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        _plain(obj)
        there = f"; there are {', '.join(map(str, obj))[:200]}" if isinstance(obj, Mapping) and obj else ""
        return self.undefined(hint=f"there is no {argument!r}{there}")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add two numbers or two texts, counted."""
        if isinstance(_plain(left), str) and isinstance(_plain(right), str):
            return _budget(context).built(left + right)
        if type(left) is int and type(right) is int and max(abs(left), abs(right)) < 2**53:
            return left + right
        raise UndefinedError("'+' adds two texts or two whole numbers; '~' joins anything")
