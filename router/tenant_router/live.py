"""The connections that are relayed now, by tenant: counted, told when the router ends, closed when a token is revoked."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .activity import Activity
from .fleet import TokenMatch
from .metrics import RouterMetrics

if TYPE_CHECKING:
    from .relay.selector import RelaySelector


class Live:
    """Who is connected."""

    def __init__(
        self, selector: RelaySelector, activity: Activity, metrics: RouterMetrics, passive: frozenset[str]
    ) -> None:
        self._selector = selector
        self._activity = activity
        self._metrics = metrics
        self._passive = passive

    @contextmanager
    def opening(self, key: str) -> Iterator[None]:
        """Count a connection of this tenant while it is being opened, or an HTTP request while it runs."""
        activity = self._activity.of(key)
        activity.connections += 1
        activity.last_seen = time.time()
        try:
            yield
        finally:
            activity.connections -= 1
            activity.last_seen = time.time()

    def count(self, key: str) -> int:
        """Connections of this tenant now."""
        return self._activity.of(key).connections

    def relay(
        self, client: socket.socket, gateway: socket.socket, to_client: bytes, to_gateway: bytes, match: TokenMatch
    ) -> None:
        """Relay two sockets from now on; the selector owns them."""
        activity = self._activity.of(match.tenant.key)
        activity.connections += 1
        activity.last_seen = activity.last_request = time.time()
        self._metrics.relayed.inc()

        def closed(_side: object) -> None:
            activity.connections -= 1
            activity.last_seen = time.time()
            self._metrics.relayed.dec()

        self._selector.relay(client, gateway, to_client, to_gateway, closed)

    @property
    def connections(self) -> int:
        """Connections that are relayed now."""
        return len(self._selector.sides) // 2

    def tell_shutdown(self) -> None:
        """Tell every client that the router ends."""

    def drop_all(self) -> None:
        """Drop every connection now."""
        for side in list(self._selector.sides.values()):
            self._selector.drop(side)
