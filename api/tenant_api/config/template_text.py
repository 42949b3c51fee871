"""The template's text to JSON5 text, with the way back from a place in the result to its place in the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError

from tenant_api.config.errors import ConfigError
from tenant_api.config.template_budget import Budget, BudgetExceeded
from tenant_api.config.template_environment import BUDGET, TemplateEnvironment
from tenant_api.config.template_syntax import parse

_ENVIRONMENT = TemplateEnvironment()
_MARKS = ("{{", "{%", "{#")
_SYNTAX_HINT = (
    "templates may use {{ tenant.name }}, if, for, set, '~' and the filters default, tojson, lower, replace, ..."
)


@dataclass(frozen=True, slots=True)
class RenderedText:
    """JSON5 text and where its pieces come from."""

    text: str
    template: str
    pieces: tuple[tuple[str, int, bool], ...]

    def template_place(self, line: int, column: int) -> tuple[int, int]:
        """Return line and column in the template for a line and column in the text (all from 1)."""
        lines = self.text.split("\n")
        offset = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
        source = len(self.template)
        for text, start, literal in self.pieces:
            if offset < len(text):
                source = start + (offset if literal else 0)
                break
            offset -= len(text)
        before = self.template[:source]
        return before.count("\n") + 1, source - (before.rfind("\n") + 1) + 1


def check_template_text(text: str) -> bool:
    """Raise what is wrong with a template's syntax; return whether it gives the same text for every tenant.

    Raises
    ------
    ConfigError
        With line in the template.
    """
    return _compiled(_normal(text)) is None


def render_template_text(text: str, tenant: Mapping[str, Any]) -> RenderedText:
    """Return the JSON5 text that a template gives for a tenant.

    Parameters
    ----------
    tenant
        What `tenant` stands for in the template: name, userId, labels, annotations; plain values only.

    Raises
    ------
    ConfigError
        The template is broken, asks for something that the tenant does not have, or would take too much memory or time.
    """
    text = _normal(text)
    template = _compiled(text)
    if template is None:
        return RenderedText(text, text, ((text, 0, True),))
    budget = Budget()
    try:
        for _ in template.root_render_func(template.new_context({"tenant": tenant, BUDGET: budget})):
            pass
    except BudgetExceeded as error:
        raise ConfigError(
            "template", str(error), line=_line(error, template), hint="make the template smaller"
        ) from None
    except TemplateError as error:
        hint = "give the tenant that label or annotation, or write `| default('...')`"
        raise ConfigError(
            "template", error.message or "can't be rendered", line=_line(error, template), hint=hint
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            "template", f"can't be rendered: {error}", line=_line(error, template), hint=_SYNTAX_HINT
        ) from None
    return RenderedText("".join(piece for piece, _, _ in budget.pieces), text, tuple(budget.pieces))


def _normal(text: str) -> str:
    # jinja2 counts and writes "\n" only.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(error: BaseException, template: Template) -> int | None:
    trace = error.__traceback__
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


# Bounded: a fleet has a few templates in a few versions; a text is at most 64 KiB.
@lru_cache(maxsize=64)
def _compiled(text: str) -> Template | None:
    """Return the compiled template, or None where the text has nothing for jinja2."""
    if not any(mark in text for mark in _MARKS):
        return None
    try:
        return _ENVIRONMENT.from_string(parse(_ENVIRONMENT, text))
    except TemplateSyntaxError as error:
        message = error.message or "is no jinja2 template"
        raise ConfigError("template", message, line=error.lineno, hint=_SYNTAX_HINT) from None
    except (RecursionError, SyntaxError, MemoryError, ValueError, OverflowError) as error:
        raise ConfigError("template", f"can't be compiled ({type(error).__name__})", hint=_SYNTAX_HINT) from None
