"""Step 3 for both ways in, WebSocket and HTTP: who has this token, and may this tenant have one more now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tenant_api.tokens import token_digest

from .fleet import TenantRecord, TokenMatch
from .origin import ClientOrigin

if TYPE_CHECKING:
    from .server import Router


class Denied(Exception):
    """Nobody enters; each way in says so in its own words."""


class LockedOut(Denied):
    """This address sent too many wrong tokens."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        """Until it may try again."""


class NoToken(Denied):
    """No token was shown."""


class Stranger(Denied):
    """Nobody has this token, or not any more."""


class Draining(Denied):
    """This router is about to end."""


class Suspended(Denied):
    """The tenant has `spec.power: Suspended`."""


class TooMany(Denied):
    """The tenant has as many connections as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class TooOften(Denied):
    """The tenant asked as often as it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        """Until there is room for the next request."""


def bearer(authorization: str) -> str | None:
    """Return the token of an `Authorization` header; None: it has none, empty: it has one of another scheme."""
    scheme, _, shown = authorization.partition(" ")
    return (shown.strip() if scheme.lower() == "bearer" else "") if shown else None


def bearer_digest(authorization: str) -> bytes | None:
    """Return the digest of what an `Authorization` header shows, as `find` and `holder` take it; None: it shows nothing."""
    token = bearer(authorization)
    return None if token is None else token_digest(token)


def holder(router: Router, digest: bytes | None) -> TokenMatch | None:
    """Return who has the token of this digest (`tokens.token_digest`) if it is valid now. Counts nothing."""
    match = None if digest is None else router.fleet.find(digest)
    return None if match is not None and match.expires_at is not None and match.expires_at <= time.time() else match


def find(router: Router, digest: bytes | None, origin: ClientOrigin) -> TokenMatch:
    """Return who has the token of this digest (None: none was shown).

    Strangers from this machine are not counted, as upstream exempts loopback.

    Raises
    ------
    LockedOut, NoToken, Stranger
        See there.
    """
    now = time.monotonic()
    if not origin.loopback and (locked := router.failures.locked(origin.address, now)):
        raise LockedOut(locked)
    if digest is None:
        raise NoToken
    match = holder(router, digest)
    if match is None:
        if not origin.loopback:
            router.failures.failed(origin.address, now)
        raise Stranger
    return match


def check(router: Router, tenant: TenantRecord) -> None:
    """Let one more connection or request of a tenant in.

    Raises
    ------
    Draining, Suspended, TooMany, TooOften
        See there.
    """
    if router.draining:
        raise Draining
    if tenant.suspended:
        raise Suspended
    limit = tenant.limits.connections
    if limit is not None and router.live.count(tenant.key) >= limit:
        raise TooMany(limit)
    if wait := router.rate.take(tenant.key, tenant.limits.requests_per_minute, time.monotonic()):
        raise TooOften(wait)
