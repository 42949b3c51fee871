"""What a tool is, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenant_gateway.workspace.confine import Root

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

MAX_OUTPUT: Final = 50_000
"""Characters of a result that a model is shown (upstream's read tool: 50 KB)."""


class ToolError(Exception):
    """A call that did not do what was asked; the model is shown the text."""


class Result(msgspec.Struct):
    """What a model is shown of a call, and what clients are shown beside it."""

    text: str
    details: dict[str, Any] = {}
    image: dict[str, Any] | None = None


class ToolContext:
    """Where a call happens."""

    def __init__(self, gateway: Gateway, session_key: str, run_id: str, root: Root) -> None:
        self.gateway = gateway
        self.session_key = session_key
        self.run_id = run_id
        self.root = root


Arguments = Mapping[str, Any]


class Tool(msgspec.Struct, frozen=True):
    """A tool: its face to the model, and the function behind it."""

    name: str
    group: str
    label: str
    description: str
    properties: dict[str, Any]
    required: tuple[str, ...]
    run: Callable[[ToolContext, Arguments], Awaitable[Result]]
    meta: tuple[str, ...] = ()
    """Arguments that say in short what a call is about."""

    def schema(self) -> dict[str, Any]:
        """Return name, description and parameters as JSON schema."""
        parameters = {"type": "object", "properties": self.properties, "required": list(self.required)}
        return {"name": self.name, "description": self.description, "parameters": parameters}

    def summary(self, arguments: Arguments) -> str:
        """Return what a call is about, for a title."""
        for name in self.meta:
            if isinstance(value := arguments.get(name), str) and value:
                return value if len(value) <= 200 else value[:199] + "…"
        return ""


def text(arguments: Arguments, name: str, default: str | None = None) -> str:
    """Return a string argument.

    Raises:
        ToolError: it is missing, or no string.
    """
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise ToolError(f"{name} must be a string" if name in arguments else f"{name} is required")
    return value


def number(arguments: Arguments, name: str, default: int, minimum: int = 0, maximum: int = 10**9) -> int:
    """Return a whole number, brought into its bounds."""
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ToolError(f"{name} must be a number")
    return max(minimum, min(maximum, int(value)))


def flag(arguments: Arguments, name: str) -> bool:
    """Return a boolean argument; false when it is missing."""
    return arguments.get(name) is True


def cut(output: str, limit: int = MAX_OUTPUT) -> str:
    """Cut a long output in the middle: its beginning says what it is, its end how it ended."""
    if len(output) <= limit:
        return output
    half = limit // 2
    return f"{output[:half]}\n[… {len(output) - 2 * half} characters left out …]\n{output[-half:]}"
