"""Not now, or no longer."""

from typing import Literal

from openclaw_protocol.errors import UNAVAILABLE, ErrorShape
from openclaw_protocol.rejections.base import Rejection


class GatewayStarting(Rejection):
    """OpenClaw's own "still waking": clients silently retry after `retry_after_ms` (which they clamp to 100-2000)."""

    def __init__(self, retry_after_ms: int = 500) -> None:
        error = ErrorShape(
            UNAVAILABLE,
            "gateway starting; retry shortly",
            {"reason": "startup-sidecars"},
            retryable=True,
            retry_after_ms=retry_after_ms,
        )
        super().__init__(error, 1013, "gateway starting")


class GatewayDraining(Rejection):
    """The gateway finishes its work before it restarts, or before it is suspended (`phase` of the suspension)."""

    def __init__(
        self,
        reason: Literal["gateway-restarting", "gateway-suspending"] = "gateway-restarting",
        phase: Literal["accepting", "draining", "prepared"] = "accepting",
    ) -> None:
        operation = "restart" if reason == "gateway-restarting" else "suspension"
        error = ErrorShape(
            UNAVAILABLE,
            f"connect unavailable during gateway {operation}",
            {"method": "connect", "reason": reason, "phase": phase},
            retryable=True,
            retry_after_ms=1000,
        )
        super().__init__(error, 1013, f"gateway {operation} in progress")


class AuthChanged(Rejection):
    """The credential a live connection came with is no longer valid."""

    def __init__(self) -> None:
        super().__init__(None, 4001, "gateway auth changed")


class PolicyChanged(Rejection):
    """The auth settings changed under a live connection."""

    def __init__(self) -> None:
        super().__init__(None, 4001, "gateway policy changed")
