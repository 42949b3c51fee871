"""The `connect` request of the benchmarks' own clients."""

from __future__ import annotations

from typing import Any, Final

LOGIN: Final[dict[str, Any]] = {
    "minProtocol": 4,
    "maxProtocol": 4,
    "client": {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "cli"},
    "role": "operator",
    "scopes": ["operator.read"],
}
"""Its `params`, without a token."""
