"""The tools that a model is offered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


def tool_schemas(gateway: Gateway) -> Sequence[dict[str, Any]]:
    """Return name, description and JSON schema of each tool that the configuration allows."""
    return ()
