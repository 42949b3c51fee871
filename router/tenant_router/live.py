"""The connections that are relayed now, by tenant: counted, told when the router ends, closed when a token is revoked."""

from __future__ import annotations

import socket
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Final

from websockets.frames import Close, Frame, Opcode

from openclaw_protocol.frames import event
from openclaw_protocol.rejections import AuthChanged

from .activity import Activity, TenantActivity
from .fleet import TokenMatch
from .metrics import RouterMetrics
from .relay.pair import Pair
from .relay.selector import RelaySelector

GOODBYE_SECONDS: Final = 5.0
"""Seconds for a client to answer our close frame; `ws`, which OpenClaw's own clients use, answers at once."""


def _close(code: int, reason: str, *, mask: bool = False) -> bytes:
    return Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=mask)


def _shutdown(payload: dict[str, object]) -> bytes:
    """What upstream sends when it goes: clients reconnect without showing an error (openclaw-protocol 2.5)."""
    return Frame(Opcode.TEXT, event("shutdown", payload)).serialize(mask=False) + _close(1012, "service restart")


class Connection:
    """One relayed connection of a tenant."""

    __slots__ = ("_activity", "_live", "match", "pair")

    pair: Pair

    def __init__(self, live: Live, match: TokenMatch, activity: TenantActivity) -> None:
        self._live = live
        self.match = match
        self._activity = activity

    def requested(self, method: str | None) -> bool:
        """Hear of a client's message; tell whether it is a real request. One whose method can't be seen counts as one."""
        if method in self._live.passive_methods:
            return False
        self._activity.last_request = time.time()
        return True

    def closed(self, _: Pair) -> None:
        """Hear that both sockets are closed."""
        self._live.forget(self, self._activity)


class Live:
    """Who is connected."""

    def __init__(
        self, selector: RelaySelector, activity: Activity, metrics: RouterMetrics, passive_methods: frozenset[str]
    ) -> None:
        self._selector = selector
        self._activity = activity
        self._metrics = metrics
        self.passive_methods = passive_methods
        self._connections: dict[str, set[Connection]] = {}
        selector.say_when_lost(_shutdown({"reason": "gateway restarting", "restartExpectedMs": 1500}))

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
        activity = self._activity.tenants.get(key)
        return 0 if activity is None else activity.connections

    def relay(
        self, client: socket.socket, gateway: socket.socket, to_client: bytes, to_gateway: bytes, match: TokenMatch
    ) -> None:
        """Relay two sockets from now on; the selector owns them."""
        activity = self._activity.of(match.tenant.key)
        connection = Connection(self, match, activity)
        activity.connections += 1
        activity.last_seen = activity.last_request = time.time()
        self._metrics.relayed.inc()
        self._connections.setdefault(match.tenant.key, set()).add(connection)
        connection.pair = self._selector.relay(
            client, gateway, to_client, to_gateway, connection.closed, connection.requested
        )

    def forget(self, connection: Connection, activity: TenantActivity) -> None:
        """Take a closed connection off the books."""
        key = connection.match.tenant.key
        connections = self._connections[key]
        connections.discard(connection)
        if not connections:
            del self._connections[key]
        activity.connections -= 1
        activity.last_seen = time.time()
        self._metrics.relayed.dec()

    @property
    def connections(self) -> int:
        """Connections that are relayed now."""
        return sum(map(len, self._connections.values()))

    def revoke(self, key: str, tokens: Container[str] | None = None) -> None:
        """Close a tenant's connections, or those of some of its tokens, as upstream does when its token is rotated (4001)."""
        changed = AuthChanged()
        words = _close(changed.close_code, changed.close_reason)
        for connection in list(self._connections.get(key, ())):
            if tokens is None or connection.match.token_name in tokens:
                self._goodbye(connection.pair, words)

    def tell_shutdown(self) -> None:
        """Tell every client that the router ends."""
        words = _shutdown({"reason": "gateway stopping"})
        for pair in list(self._selector.pairs()):
            self._goodbye(pair, words)

    def _goodbye(self, pair: Pair, to_client: bytes) -> None:
        self._selector.close_pair(pair, to_client, _close(1000, "", mask=True), GOODBYE_SECONDS)

    def drop_all(self) -> None:
        """Drop every connection now."""
        for pair in list(self._selector.pairs()):
            self._selector.drop_pair(pair)
