"""hello-ok: what a client learns when it is let in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from openclaw_protocol.hello import hello_ok
from tenant_gateway.methods.registry import ADMIN, EVENTS, METHODS
from tenant_gateway.methods.status import health_snapshot, presence_list
from tenant_gateway.settings import UPSTREAM_VERSION
from tenant_gateway.storage.sessions import DEFAULT_AGENT, MAIN_KEY

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway
    from tenant_gateway.server.client import Client

_POLICY: Final = {
    "attachments": {"maxBytes": 19_464_192, "maxImageBytes": 6_291_456},
    "allowedSessionVisibilities": ["shared"],
    "hasMultipleSessionSharingIdentities": False,
}


def hello(gateway: Gateway, client: Client) -> dict[str, Any]:
    """Return the payload of hello-ok for a client."""
    scopes = sorted(client.identity.scopes)
    snapshot: dict[str, Any] = {
        "suspension": {"phase": gateway.suspension.phase},
        "presence": presence_list(gateway),
        "health": health_snapshot(gateway),
        "stateVersion": gateway.state_version(),
        "uptimeMs": int((time.monotonic() - gateway.started) * 1000),
        "appliedConfigHash": gateway.config.hash(gateway.secret),
        "sessionDefaults": {
            "defaultAgentId": DEFAULT_AGENT,
            "modelConfigured": bool(gateway.config.get("agents.defaults.model")),
            "ownership": "sole",
            "selectionRequired": False,
            "mainKey": "main",
            "mainSessionKey": MAIN_KEY,
            "scope": "per-sender",
        },
    }
    if ADMIN in client.identity.scopes:
        snapshot["configPath"] = str(gateway.settings.config_path)
        snapshot["stateDir"] = str(gateway.settings.state_dir)
        snapshot["authMode"] = gateway.config.get("gateway.auth.mode", "token")
    return hello_ok(
        server={
            "version": UPSTREAM_VERSION,
            "controlUiBuildSource": "configured",
            "bootId": gateway.boot_id,
            "connId": client.conn_id,
        },
        methods=tuple(METHODS),
        events=EVENTS,
        auth={
            "method": client.identity.method,
            "role": "operator",
            "scopes": scopes,
            "issuedAtMs": client.connected_at_ms,
        },
        snapshot=snapshot,
        policy=_POLICY,
    )
