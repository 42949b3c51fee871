"""Who may connect, and with which scopes: `gateway.auth`.

Behind the router this is the `trusted-proxy` mode: the router terminated the handshake and vouches for its tenant with a
header whose value only it and this gateway know. Run alone it is a shared token or password.
"""

import hmac
from collections.abc import Mapping
from typing import Final

import msgspec

from openclaw_protocol.connect import ConnectParams
from openclaw_protocol.rejections import (
    IdentityHeaderRequired,
    IdentityRefused,
    TokenMismatch,
    TokenMissing,
)
from tenant_gateway.config.document import Config

_LOOPBACK: Final = ("127.", "::1", "::ffff:127.")


class AttributionRequired(Exception):
    """Forwarding headers of a peer that is no proxy of ours, or a proxy that does not name the client: HTTP 403."""


class Peer(msgspec.Struct, frozen=True):
    """The other end of a connection, as its HTTP head and its socket show it."""

    address: str
    headers: Mapping[str, str]

    @property
    def is_loopback(self) -> bool:
        """Whether the socket comes from this machine."""
        return self.address.startswith(_LOOPBACK)


class Identity(msgspec.Struct, frozen=True):
    """An authenticated client: how, as whom, and what it may do."""

    method: str
    user: str | None
    scopes: frozenset[str]


def check_attribution(config: Config, peer: Peer) -> None:
    """Refuse an upgrade or request whose forwarding headers cannot be believed.

    Raises:
        AttributionRequired: see the class.
    """
    forwarded = any(name in peer.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip"))
    if forwarded and not is_trusted_proxy(config, peer):
        raise AttributionRequired
    if config.get("gateway.auth.mode") == "trusted-proxy" and forwarded:
        client = peer.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        if not client or client.startswith(_LOOPBACK):
            raise AttributionRequired


def is_trusted_proxy(config: Config, peer: Peer) -> bool:
    """Whether the socket's other end is in `gateway.trustedProxies` (addresses or CIDR ranges)."""
    proxies = config.texts("gateway.trustedProxies")
    if peer.address in proxies:
        return True
    ranges = [proxy for proxy in proxies if "/" in proxy]
    if not ranges:
        return False
    import ipaddress

    try:
        address = ipaddress.ip_address(peer.address.removeprefix("::ffff:"))
        return any(address in ipaddress.ip_network(range_, strict=False) for range_ in ranges)
    except ValueError:
        return False


def authenticate(config: Config, environ: Mapping[str, str], peer: Peer, params: ConnectParams) -> Identity:
    """Authenticate a `connect`.

    Raises:
        Rejection: one of `openclaw_protocol.rejections`.
    """
    mode = config.get("gateway.auth.mode", "token")
    if mode == "trusted-proxy":
        user = proxy_user(config, peer, params)
        return Identity("trusted-proxy", user, proxy_scopes(config, peer, user))
    requested = frozenset(params.scopes)
    if mode == "none":
        if not peer.is_loopback:
            raise IdentityRefused("auth_mode_none_requires_loopback")
        return Identity("none", None, requested)
    if params.token is None:
        raise TokenMissing(params.client, local=peer.is_loopback)
    if not is_shared_secret(config, environ, params.token):
        raise TokenMismatch(params.client, local=peer.is_loopback)
    return Identity(str(mode), None, requested)


def is_shared_secret(config: Config, environ: Mapping[str, str], given: str) -> bool:
    """Whether it is the gateway's token or password, compared in constant time."""
    mode = config.get("gateway.auth.mode", "token")
    expected = environ.get(f"OPENCLAW_GATEWAY_{str(mode).upper()}") or config.text(f"gateway.auth.{mode}")
    return bool(expected) and hmac.compare_digest(expected.encode(), given.encode())


def proxy_user(config: Config, peer: Peer, params: ConnectParams | None = None) -> str:
    """Return the user that a trusted proxy vouches for.

    Raises:
        Rejection: not from a trusted proxy, a required header is missing, or a user this gateway does not serve.
    """
    if peer.is_loopback and not config.flag("gateway.auth.trustedProxy.allowLoopback", False):
        raise IdentityRefused("trusted_proxy_loopback_not_allowed")
    if not is_trusted_proxy(config, peer):
        raise IdentityRefused("trusted_proxy_untrusted_source")
    client = None if params is None else params.client
    for header in config.texts("gateway.auth.trustedProxy.requiredHeaders"):
        if not peer.headers.get(header.lower(), "").strip():
            raise IdentityHeaderRequired(header, client)
    header = config.text("gateway.auth.trustedProxy.userHeader").lower()
    user = peer.headers.get(header, "").strip()
    if not header or not user:
        raise IdentityRefused("trusted_proxy_user_missing")
    allowed = config.texts("gateway.auth.trustedProxy.allowUsers")
    # The user's name is the secret that router and gateway share, so each comparison takes the same time.
    if allowed and not sum(hmac.compare_digest(user.encode(), name.encode()) for name in allowed):
        raise IdentityRefused
    return user


def proxy_scopes(config: Config, peer: Peer, user: str) -> frozenset[str]:
    """Return `gateway.auth.identityScopes` of the user, capped by `X-OpenClaw-Scopes` when the proxy sends it."""
    granted = config.table("gateway.auth.identityScopes").get(user, [])
    scopes = frozenset(scope for scope in granted if isinstance(scope, str))
    cap = peer.headers.get("x-openclaw-scopes")
    return scopes if cap is None else scopes & {scope.strip() for scope in cap.split(",")}
