"""`connect` frames for the live tests: who speaks, with what, and what of it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from openclaw_protocol import frames
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.device import DeviceKey

CLI = {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "cli"}
TUI = {"id": "openclaw-tui", "version": "2026.9.6", "platform": "linux", "mode": "ui"}
CONTROL_UI = {"id": "openclaw-control-ui", "version": "2026.9.6", "platform": "web", "mode": "webchat"}
BACKEND = {"id": "gateway-client", "version": "2026.9.6", "platform": "linux", "mode": "backend"}
NODE = {"id": "node-host", "version": "2026.9.6", "platform": "linux", "mode": "node"}

KEY = DeviceKey(bytes(32))
REQUEST_ID = "the-connect"

Say = Callable[[Challenge], list[bytes | str]]
ChangeDevice = Callable[[dict[str, Any]], dict[str, Any]]


def remote(host: int) -> dict[str, str]:
    """Headers of a proxy in front of a client at 203.0.113.`host`; failures are counted by client."""
    return {
        "X-Forwarded-For": f"203.0.113.{host}",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "gw.example.com",
    }


def connect(
    client: dict[str, Any] = CLI,
    *,
    token: str | None = None,
    device: bool | ChangeDevice = False,
    role: str = "operator",
    scopes: Sequence[str] = ("operator.read",),
    **more: Any,
) -> Say:
    """Say `connect`, with a device proof if asked for, changed at will."""

    def say(challenge: Challenge) -> list[bytes | str]:
        params: dict[str, Any] = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": client,
            "role": role,
            "scopes": list(scopes),
        }
        if token is not None:
            params["auth"] = {"token": token}
        if device:
            claim = KEY.claim(client, role, scopes, token, challenge.nonce, challenge.ts)
            params["device"] = device(claim) if callable(device) else claim
        return [frames.request(REQUEST_ID, "connect", params | more)]

    return say


def message(text: bytes | str) -> Say:
    """Say just this."""
    return lambda _challenge: [text]
