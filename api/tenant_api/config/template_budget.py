"""What one rendering of a template may use up, and what it has written so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tenant_api.config.json5 import MAX_CHARS

MAX_STRING: Final = 64 * 1024
"""Longest text that a template may build on the way, in characters."""

MAX_WORK: Final = 2_000_000
"""Steps of one rendering: a node run costs one, a text built costs a sixteenth of its length. About a second of CPU."""


class BudgetExceeded(Exception):
    """The template would take too much memory or time."""


@dataclass(slots=True)
class Budget:
    """Counts what one rendering uses and collects its output, with where in the template each piece comes from."""

    work: int = MAX_WORK
    room: int = MAX_CHARS
    pieces: list[tuple[str, int, bool]] = field(default_factory=list)
    """Text, offset in the template, and whether it is the template's own text (else a value put in there)."""

    def step(self, count: int = 1) -> None:
        """Count steps."""
        self.work -= count
        if self.work < 0:
            raise BudgetExceeded(f"takes more than {MAX_WORK} steps")

    def built(self, text: str) -> str:
        """Count a text that was built, and return it."""
        if len(text) > MAX_STRING:
            raise BudgetExceeded(f"builds a text of more than {MAX_STRING} characters")
        self.step(1 + len(text) // 16)
        return text

    def emit(self, text: str, offset: int, *, literal: bool) -> None:
        """Write text to the output."""
        self.room -= len(text)
        if self.room < 0:
            raise BudgetExceeded(f"writes more than {MAX_CHARS} characters")
        self.step()
        self.pieces.append((text, offset, literal))
