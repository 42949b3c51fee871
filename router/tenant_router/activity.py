"""Who is connected and when they last really asked for something, per tenant: what idle decisions are made from."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class TenantActivity:
    """Counters of one tenant on this router. Times are seconds since the epoch (time.time)."""

    connections: int = 0
    """Open client WebSockets plus HTTP requests in flight."""
    opening: int = 0
    """Those of them that are being opened, and the HTTP requests."""
    parked: int = 0
    """Those of them whose client is connected while the gateway sleeps."""
    last_request: float = 0.0
    """When a client last sent a request that was not a passive poll; 0: never since this router started."""
    last_seen: float = 0.0
    """When a connection was last opened or closed."""


class Activity:
    """All tenants that were active since this router started, by `TenantRecord.key`."""

    def __init__(self) -> None:
        self.since = time.time()
        self.tenants: dict[str, TenantActivity] = {}

    def of(self, key: str) -> TenantActivity:
        """Return the tenant's counters, making them on first use."""
        found = self.tenants.get(key)
        if found is None:
            found = self.tenants[key] = TenantActivity()
        return found
