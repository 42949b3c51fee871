"""Where a connection comes from, and the headers that tell the gateway. Client-supplied ones never get through."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from tenant_api.config.gateway_settings import ROUTER_HEADER, USER_HEADER

from .settings import Network

log = logging.getLogger(__name__)

SCOPES_HEADER = "x-openclaw-scopes"
"""Caps the scopes that the identity would get (openclaw-protocol 4.4)."""
SOMEBODY = "192.0.2.1"
"""Stands for a client without a public address. TEST-NET-1, RFC 5737.

Upstream refuses (403) an X-Forwarded-For whose addresses are loopback or all of its trusted proxies; in a cluster these are
the private networks, where its routers are.
"""

MAX_TOLD = 8
"""Peers that are warned of; an ingress controller has a few replicas."""

_MAPPED = "::ffff:"
"""What an IPv4 peer's address begins with on a socket of both families (RFC 4291 section 2.5.5.2)."""
_HOST = re.compile(r"[A-Za-z0-9.\-:\[\]_]{1,255}")
_SCOPE = re.compile(r"[a-z][a-z.]{0,63}")


@dataclass(frozen=True, slots=True)
class ClientOrigin:
    """Who the client is, as far as the network tells."""

    address: str
    proto: str
    host: str
    loopback: bool


class Origins:
    """Who clients are, as a router tells that trusts these proxies."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._told: set[str] = set()

    def of(self, peer: str, headers: dict[bytes, bytes]) -> ClientOrigin:
        """Return `client_origin`; warn of a peer that looks like a proxy and is not trusted."""
        if peer.startswith(_MAPPED) and "." in peer:
            peer = peer.removeprefix(_MAPPED)
        if (b"x-forwarded-for" in headers or b"forwarded" in headers) and not _is_trusted(peer, self._trusted):
            self._warn(peer)
        return client_origin(peer, headers, self._trusted)

    def _warn(self, peer: str) -> None:
        """Say it once for each of the first peers: anybody can write such a header, and a log is not theirs to fill."""
        if peer in self._told or len(self._told) >= MAX_TOLD:
            return
        self._told.add(peer)
        log.warning(
            "a request from %s carries X-Forwarded-For or Forwarded, which is dropped because this peer is no trusted proxy. "
            "If it is your ingress or load balancer, name it (router.trustedProxies in the chart's values, "
            "OPENCLAW_TENANCY_TRUSTED_PROXIES, up --trusted-proxy): until then all its clients count as one address, and "
            "wrong tokens of some lock the others out",
            peer,
        )


def client_origin(peer: str, headers: dict[bytes, bytes], trusted: tuple[Network, ...]) -> ClientOrigin:
    """Read the forwarding headers when the peer is a trusted proxy, else take the peer itself.

    Of `X-Forwarded-For` the last address that no trusted proxy has is the client's: what stands before it, it may have
    written itself.
    """
    proto, host = "http", headers.get(b"host", b"").decode("latin-1")
    address = peer
    if trusted and _is_trusted(peer, trusted):
        for listed in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
            hop = listed.strip()
            if not _is_address(hop):
                break
            address = hop
            if not _is_trusted(hop, trusted):
                break
        proto = "https" if headers.get(b"x-forwarded-proto", b"").strip().lower() == b"https" else "http"
        host = headers.get(b"x-forwarded-host", b"").decode("latin-1").split(",")[0].strip() or host
    return ClientOrigin(
        address=address,
        proto=proto,
        host=host if _HOST.fullmatch(host) else "localhost",
        loopback=_is_loopback(address),
    )


def gateway_headers(origin: ClientOrigin, user: str, scopes: tuple[str, ...] | None) -> dict[str, str]:
    """Return the headers that identify the router and its client to a gateway, in trusted-proxy mode.

    `scopes` None leaves the identity all its scopes; an empty tuple gives it none.
    """
    headers = {
        "X-Forwarded-For": origin.address if _is_public(origin.address) else SOMEBODY,
        "X-Forwarded-Proto": origin.proto,
        "X-Forwarded-Host": origin.host,
        USER_HEADER: user,
        ROUTER_HEADER: "1",
    }
    if scopes is not None:
        headers[SCOPES_HEADER] = _scopes(scopes)
    return headers


@lru_cache(maxsize=64)
def _scopes(scopes: tuple[str, ...]) -> str:
    return ",".join(scope for scope in scopes if _SCOPE.fullmatch(scope))


@lru_cache(maxsize=4096)
def _is_public(address: str) -> bool:
    return ip_address(address).is_global


@lru_cache(maxsize=4096)
def _is_loopback(address: str) -> bool:
    return ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(address: str, trusted: tuple[Network, ...]) -> bool:
    parsed = ip_address(address)
    return any(parsed in network for network in trusted if network.version == parsed.version)
