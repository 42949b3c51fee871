"""Thinking levels as clients offer them."""

from typing import Any, Final

from tenant_gateway.agent.models import Model

_LEVELS: Final = ("off", "minimal", "low", "medium", "high")


def thinking_levels(model: Model | None) -> tuple[str, ...]:
    """Return the levels of a model: only `off` for one that does not reason."""
    return _LEVELS if model is not None and model.reasoning else ("off",)


def thinking_default(model: Model | None) -> str:
    """Return the level that a run has when nobody chose one."""
    return "medium" if model is not None and model.reasoning else "off"


def thinking_fields(model: Model | None) -> dict[str, Any]:
    """Return upstream's three members about thinking."""
    levels = thinking_levels(model)
    return {
        "thinkingLevels": [{"id": level, "label": level} for level in levels],
        "thinkingOptions": list(levels),
        "thinkingDefault": thinking_default(model),
    }
