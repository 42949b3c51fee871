"""The gateway settings that are ours: how the one router gets in, and nobody else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from openclaw_protocol.scopes import OPERATOR_SCOPES
from tenant_api.config.paths import Path, parse_path
from tenant_api.plain_json import Json

USER_HEADER: Final = "x-openclaw-tenant"
"""Header in which the router names the tenant, with its identity secret."""

ROUTER_HEADER: Final = "x-openclaw-router"
"""Header that every request of the router has; the gateway checks that it is there."""

OWNED: Final[dict[Path, str]] = {
    parse_path(path): reason
    for path, reason in {
        "gateway.mode": "a gateway that is none does not start",
        "gateway.bind": "the router must reach the gateway",
        "gateway.customBindHost": "the router must reach the gateway",
        "gateway.port": "the router must reach the gateway",
        "gateway.tls": "the router speaks plain HTTP to the gateway",
        "gateway.tailscale": "the gateway is reached by its router only",
        "gateway.portals": "the gateway is reached by its router only",
        "gateway.remote": "the gateway is reached by its router only",
        "gateway.auth": "only the router may say who is there",
        "gateway.roles": "only the router may say who is there",
        "gateway.trustedProxies": "only the router may say who is there",
        "gateway.allowRealIpFallback": "only the router may say who is there",
        "gateway.reload": "changes of this config must reach the running gateway",
        "gateway.controlUi.enabled": "the router serves the Control UI",
        "gateway.controlUi.basePath": "the router serves the Control UI",
        "gateway.controlUi.root": "the router serves the Control UI",
        "gateway.controlUi.allowedOrigins": "the router checks origins",
        "gateway.controlUi.dangerouslyDisableDeviceAuth": "only the router may say who is there",
        "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback": "the router checks origins",
        "gateway.http.endpoints.chatCompletions.enabled": "the router passes on the HTTP API",
        "gateway.http.endpoints.responses.enabled": "the router passes on the HTTP API",
        "env.vars.OPENCLAW_*": "these variables tell the gateway who may come in",
    }.items()
}
"""What neither overlay nor template decides."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How one tenant's gateway listens and whom it lets in.

    Raises
    ------
    ValueError
        The user is no value for a header, or the port none.
    """

    user: str
    """Value of the header `x-openclaw-tenant` that alone is let in (`identity.identity_user`)."""
    port: int = 18789
    bind: Literal["loopback", "lan"] = "lan"
    """`loopback` on one machine, `lan` (0.0.0.0) in a pod."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of the routers."""
    allow_loopback: bool = False
    """Whether a router at 127.0.0.1 is let in: on one machine."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Browser origins that the gateway accepts. The router has checked them already, hence all of them."""
    runtime: Literal["native", "openclaw"] = "openclaw"
    workspace: str | None = None
    """Directory of the agent's workspace, where neither template nor overlay names one."""
    scopes: tuple[str, ...] = field(default=OPERATOR_SCOPES)
    """The most that a session of this tenant may have."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._@-]{0,254}", self.user):
            raise ValueError("user is no value for the identity header")
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is no port")

    def overlay(self) -> dict[str, Json]:
        """Return these settings as a piece of config, with null for what must not be there."""
        proxy: dict[str, Json] = {
            "userHeader": USER_HEADER,
            "requiredHeaders": [ROUTER_HEADER],
            "allowUsers": [self.user],
        }
        if self.allow_loopback:
            proxy["allowLoopback"] = True
        return {
            "mode": "local",
            "bind": self.bind,
            "customBindHost": None,
            "port": self.port,
            "tls": None,
            "tailscale": None,
            "portals": None,
            "remote": None,
            "roles": None,
            "trustedProxies": list(self.trusted_proxies),
            "allowRealIpFallback": None,
            "reload": None,
            # The files are the router's to serve; the gateway answers what the page asks of it (its config, avatars, icons).
            "controlUi": {
                "enabled": True,
                "basePath": None,
                "root": None,
                "allowedOrigins": list(self.allowed_origins),
                "dangerouslyDisableDeviceAuth": None,
                "dangerouslyAllowHostHeaderOriginFallback": None,
            },
            "http": {"endpoints": {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}},
            "auth": {
                "mode": "trusted-proxy",
                "identityScopes": {self.user: list(self.scopes)},
                "trustedProxy": proxy,
            },
        }
