"""What can be wrong with a config, said so that its author finds the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenant_api.config.paths import format_path


# Not frozen: contextlib sets __traceback__ on what passes through it.
@dataclass(slots=True, eq=False)
class ConfigError(Exception):
    """A config can't be rendered."""

    source: Literal["template", "overlay", "result"]
    """Whose fault: `TenantTemplate.spec.config`, `Tenant.spec.config`, or both together."""
    message: str
    """What is wrong, as a clause without a subject."""
    path: tuple[str | int, ...] = ()
    """Path in the config, e.g. gateway, auth; empty where the text itself is wrong."""
    line: int | None = None
    """Line in the template's config text, from 1."""
    column: int | None = None
    """Column in that line, from 1."""
    hint: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        place = {"template": "the template's config", "overlay": "spec.config", "result": "the config"}[self.source]
        where = f" at line {self.line}" if self.line is not None else ""
        where += f", column {self.column}" if self.line is not None and self.column is not None else ""
        path = f": {format_path(self.path)}" if self.path else ""
        return f"{place}{where}{path}: {self.message}" + (f" ({self.hint})" if self.hint else "")
