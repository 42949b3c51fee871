"""Rejections that only a router of many tenants has; clients treat them as they treat upstream's."""

from __future__ import annotations

from openclaw_protocol.frames import ErrorShape
from openclaw_protocol.rejections import Rejection


class TenantSuspended(Rejection):
    """The tenant has `spec.power: Suspended`. Not a terminal code: a client comes back by itself when it is resumed."""

    def __init__(self) -> None:
        message = "this tenant is suspended by its operator"
        super().__init__(
            ErrorShape("UNAVAILABLE", message, {"reason": "tenant-suspended"}, retryable=True, retry_after_ms=2000),
            1008,
            message,
        )


class CannotStart(Rejection):
    """The tenant's gateway does not start before a person has mended something.

    Upstream's "starting" would have clients try again twice a second without a word, and the CLI give up with "timeout".
    By this they say why: the CLI at once; the TUI, and the Control UI under "Raw error" of its "Gateway unreachable", while they
    come again by themselves, every 1 to 30 s (seen on 2026.9.6).
    """

    def __init__(self, why: str) -> None:
        message = f"the gateway can't be started until whoever runs it has mended this: {why}"
        super().__init__(
            ErrorShape("UNAVAILABLE", message, {"reason": "gateway-cannot-start"}, retryable=True, retry_after_ms=2000),
            1013,
            "the gateway can't be started",
        )


class TooManyConnections(Rejection):
    """The tenant has as many connections as `spec.limits.connections` allows."""

    def __init__(self, limit: int) -> None:
        message = f"too many connections: this tenant may have {limit} at once"
        super().__init__(
            ErrorShape("UNAVAILABLE", message, {"reason": "too-many-connections"}, retryable=True, retry_after_ms=2000),
            1013,
            message,
        )
