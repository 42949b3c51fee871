"""Conditions: statements with a reason and a message, and when each began to hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ..times import rfc3339

MAX_MESSAGE = 1024
"""Characters: room for a sentence of the API server's, not for its whole dump."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A condition before it has a time."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @classmethod
    def of(cls, type: str, holds: bool, reason: str, message: str) -> Statement:
        """Return a statement that is known to hold or not to."""
        return cls(type, "True" if holds else "False", reason, message)


def conditions(
    statements: Iterable[Statement], before: list[dict[str, Any]], generation: int, now: float
) -> list[dict[str, Any]]:
    """Return the conditions as status has them; one whose status is as before keeps its time."""
    known = {condition.get("type"): condition for condition in before}
    result = []
    for statement in statements:
        old = known.get(statement.type)
        since = old.get("lastTransitionTime") if old and old.get("status") == statement.status else None
        result.append(
            {
                "type": statement.type,
                "status": statement.status,
                "reason": statement.reason,
                "message": _short(statement.message),
                "observedGeneration": generation,
                "lastTransitionTime": since or rfc3339(now),
            }
        )
    return result


def condition(status: dict[str, Any], type: str) -> dict[str, Any]:
    """Return a condition of a status; empty if it has none of this type."""
    return next((one for one in status.get("conditions") or [] if one.get("type") == type), {})


def _short(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"
