"""The connections of this router by tenant: counted, told when the router ends, closed when a token is revoked."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Container, Set
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from websockets.frames import Close, Frame, Opcode

from openclaw_protocol.frames import event
from openclaw_protocol.rejections import AuthChanged

from .activity import Activity, TenantActivity
from .fleet import GatewayAddress, TokenMatch
from .metrics import RouterMetrics
from .park.hello import features_of
from .park.login import Login, Logins, scopes
from .park.noted import Noted
from .relay.pair import Detached, Pair
from .relay.selector import RelaySelector

if TYPE_CHECKING:
    from .park.parked import Parked

TURN: Final = 600.0
"""Seconds after the last real request in which a turn may still run; its client must hear that the gateway died."""
ANSWERED: Final = 1000
"""Milliseconds in which a gateway has answered a poll."""
GOODBYE_SECONDS: Final = 5.0
"""Seconds for a client to answer our close frame; `ws`, which OpenClaw's own clients use, answers at once."""


def _close(code: int, reason: str, *, mask: bool = False) -> bytes:
    return Frame(Opcode.CLOSE, Close(code, reason).serialize()).serialize(mask=mask)


def _shutdown(payload: dict[str, object]) -> bytes:
    """What upstream sends when it goes: clients reconnect without showing an error (openclaw-protocol 2.5)."""
    return Frame(Opcode.TEXT, event("shutdown", payload)).serialize(mask=False) + _close(1012, "service restart")


def restarting() -> bytes:
    """Return what upstream sends when it restarts: clients come back by themselves at once."""
    return _shutdown({"reason": "gateway restarting", "restartExpectedMs": 1500})


def _revoked() -> bytes:
    changed = AuthChanged()
    return _close(changed.close_code, changed.close_reason)


def milliseconds_since_sent(sock: socket.socket) -> int:
    """Return how long ago a TCP socket last sent data, which costs nothing until it is asked (`tcpi_last_data_sent`)."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 48)
    return int.from_bytes(info[44:48], sys.byteorder)


class Connection:
    """One client of a tenant from its hello to its end, relayed or parked."""

    __slots__ = ("_activity", "_live", "away", "features", "login", "match", "noted", "pair", "revoked", "uid")

    pair: Pair | None
    """There while it is relayed."""

    def __init__(
        self, live: Live, match: TokenMatch, activity: TenantActivity, login: Login, uid: str, features: bytes
    ) -> None:
        self._live = live
        self.match = match
        self._activity = activity
        self.login = login
        """What it takes to log in again in its place (`park.login`)."""
        self.uid = uid
        """The incarnation of its gateway."""
        self.features = features
        """What it builds on (`park.hello.features_of`)."""
        self.noted = Noted()
        self.pair = None
        self.away: Parked | None = None
        """There while it is parked."""
        self.revoked = False
        """Its token stopped working while it was neither relayed nor parked."""

    def requested(self, beginning: bytes) -> bool:
        """Hear the first bytes of a client's message; True: enough for this second.

        A message whose method can't be seen counts as a real request.
        """
        passive = self.passive()
        if self.noted.hear(beginning, passive) not in passive:
            self.asked()
        return self.noted.exhausted()

    def passive(self) -> Set[str]:
        """Return the methods whose requests are no use of its tenant, as its template has them now."""
        return self._live.passive_methods(self.match.tenant.key)

    def asked(self) -> None:
        """Note a real request."""
        self._activity.last_request = time.time()

    def quiet(self, pair: Pair) -> bool:
        """Tell whether nothing was going on between this client and its gateway, which is gone.

        What the gateway did is not known any more: a turn may have run for as long as nobody asked anything since.
        """
        if self.revoked or not self.noted.complete or time.time() - self._activity.last_request < TURN:
            return False
        try:
            sent = milliseconds_since_sent(pair.gateway.sock)
        except OSError:
            return False
        return sent >= ANSWERED

    @property
    def scopes(self) -> bytes:
        """The scopes it asked for, as one value."""
        return scopes(self.login)

    def closed(self, _: Pair) -> None:
        """Hear that both sockets are closed."""
        self._live.relayed -= 1
        self.gone()

    def lifted(self) -> None:
        """It is not relayed any more, but not over."""
        self._live.relayed -= 1
        self.pair = None

    def parked(self, parked: Parked) -> None:
        """It has no gateway from now on."""
        self.away = parked
        self._activity.parked += 1

    def relayed_again(self, client: socket.socket, gateway: socket.socket, to_client: bytes, to_gateway: bytes) -> None:
        """Relay it (again)."""
        if self.away is not None:
            self.away = None
            self._activity.parked -= 1
        self._live.join(self, client, gateway, to_client, to_gateway)

    def gone(self) -> None:
        """The client is gone."""
        if self.away is not None:
            self.away = None
            self._activity.parked -= 1
        self._live.forget(self, self._activity)


class _Counted:
    """See `Live.opening`."""

    __slots__ = ("_activity",)

    def __init__(self, activity: TenantActivity) -> None:
        self._activity = activity

    def __enter__(self) -> None:
        self._activity.connections += 1
        self._activity.opening += 1
        self._activity.last_seen = time.time()

    def __exit__(self, *_: object) -> None:
        self._activity.connections -= 1
        self._activity.opening -= 1
        self._activity.last_seen = time.time()


class Live:
    """Who is connected."""

    def __init__(
        self,
        selector: RelaySelector,
        activity: Activity,
        metrics: RouterMetrics,
        passive_methods: Callable[[str], Set[str]],
    ) -> None:
        self._selector = selector
        self._activity = activity
        self.metrics = metrics
        self.passive_methods = passive_methods
        self._connections: dict[str, set[Connection]] = {}
        self.logins = Logins()
        self._features: dict[str, tuple[str, bytes]] = {}
        self.relayed = 0
        """Connections that are relayed now."""
        metrics.relayed.set_function(lambda: self.relayed)
        selector.say_when_lost(restarting())

    def opening(self, key: str) -> AbstractContextManager[None]:
        """Count a connection of this tenant while it is being opened, or an HTTP request while it runs."""
        return _Counted(self._activity.of(key))

    def features(self, key: str, uid: str, hello: bytes) -> bytes:
        """Return what a tenant's clients build on; worked out once for each incarnation of its gateway."""
        known = self._features.get(key)
        if known is None or known[0] != uid:
            known = self._features[key] = (uid, features_of(hello))
        return known[1]

    def count(self, key: str) -> int:
        """Connections of this tenant now."""
        activity = self._activity.tenants.get(key)
        return 0 if activity is None else activity.connections

    def relay(
        self,
        client: socket.socket,
        gateway: socket.socket,
        to_client: bytes,
        to_gateway: bytes,
        match: TokenMatch,
        login: Login,
        uid: str,
        features: bytes,
    ) -> None:
        """Relay two sockets from now on; the selector owns them."""
        activity = self._activity.of(match.tenant.key)
        connection = Connection(self, match, activity, login, uid, features)
        activity.connections += 1
        activity.last_seen = activity.last_request = time.time()
        self._connections.setdefault(match.tenant.key, set()).add(connection)
        self.join(connection, client, gateway, to_client, to_gateway)

    def join(
        self,
        connection: Connection,
        client: socket.socket,
        gateway: socket.socket,
        to_client: bytes,
        to_gateway: bytes,
    ) -> None:
        """Relay a connection that is on the books."""
        self.relayed += 1
        pair = self._selector.relay(client, gateway, to_client, to_gateway, connection.closed, connection.requested)
        pair.owner = connection
        connection.pair = pair
        if connection.revoked:
            self._goodbye(pair, _revoked())

    def of(self, key: str) -> list[Connection]:
        """Return the connections of a tenant."""
        return list(self._connections.get(key, ()))

    def forget(self, connection: Connection, activity: TenantActivity) -> None:
        """Take a closed connection off the books."""
        key = connection.match.tenant.key
        connections = self._connections.get(key)
        if connections is None or connection not in connections:
            return
        connections.discard(connection)
        if not connections:
            del self._connections[key]
        activity.connections -= 1
        activity.last_seen = time.time()

    @property
    def connections(self) -> int:
        """Connections of all tenants, relayed or parked."""
        return sum(map(len, self._connections.values()))

    def keep(self, take: Callable[[Connection, Detached], None]) -> Callable[[Pair], Callable[[Detached], None] | None]:
        """Return who decides about a client whose gateway was lost: a quiet one is taken, another one hears of it."""

        def heir(pair: Pair) -> Callable[[Detached], None] | None:
            connection = pair.owner
            if not isinstance(connection, Connection) or not connection.quiet(pair):
                return None

            def taken(detached: Detached) -> None:
                connection.lifted()
                take(connection, detached)

            return taken

        return heir

    def revoke(self, key: str, tokens: Container[str] | None = None) -> None:
        """Close a tenant's connections, or those of some of its tokens, as upstream does when its token is rotated (4001)."""
        for connection in self.of(key):
            if tokens is not None and connection.match.token_name not in tokens:
                continue
            connection.revoked = True
            if connection.pair is not None:
                self._goodbye(connection.pair, _revoked())
            elif connection.away is not None:
                connection.away.goodbye(_revoked())

    def stranded(self, awake: Callable[[str], GatewayAddress | None]) -> list[str]:
        """Return the tenants with relayed clients whose gateway is about to end."""
        found = []
        for key, there in self._connections.items():
            address = awake(key)
            uid = None if address is None else address.uid
            if any(connection.pair is not None and connection.uid != uid for connection in there):
                found.append(key)
        return found

    def everyone(self) -> list[Connection]:
        """Return all connections."""
        return [connection for there in self._connections.values() for connection in there]

    def let_go(self, connection: Connection) -> None:
        """Have a relayed client connect anew, to another router."""
        if connection.pair is not None:
            self._goodbye(connection.pair, restarting())

    def tell_shutdown(self) -> None:
        """Tell every client that the router ends."""
        words = _shutdown({"reason": "gateway stopping"})
        for connection in self.everyone():
            if connection.pair is not None:
                self._goodbye(connection.pair, words)

    def _goodbye(self, pair: Pair, to_client: bytes) -> None:
        self._selector.close_pair(pair, to_client, _close(1000, "", mask=True), GOODBYE_SECONDS)

    def drop_all(self) -> None:
        """Drop every connection now."""
        for connection in self.everyone():
            if connection.pair is not None:
                self._selector.drop_pair(connection.pair)
