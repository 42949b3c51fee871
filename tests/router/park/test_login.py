"""A login that is kept says to the gateway what the client said, without its secrets."""

from __future__ import annotations

import json

from openclaw_protocol.connect import parse_connect
from tenant_router.origin import ClientOrigin
from tenant_router.park.login import MAX_KINDS, Logins, restore, scopes

ORIGIN = ClientOrigin("203.0.113.7", "https", "gw.example.com", loopback=False)


def connect(instance: str | None = "i-1", device: bool = True, name: str = "1:a") -> bytes:
    client = {"id": "openclaw-tui", "version": "2026.9.6", "platform": "linux", "mode": "ui"}
    params: dict[str, object] = {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": client if instance is None else {**client, "instanceId": instance},
        "caps": ["tool-events"],
        "auth": {"token": "a-secret"},
        "scopes": ["operator.read"],
    }
    if device:
        params["device"] = {"id": "ab" * 32, "publicKey": "k", "signature": "s", "signedAt": 1, "nonce": "n"}
    return json.dumps({"type": "req", "id": name, "method": "connect", "params": params}).encode()


def test_what_was_said_comes_back_without_secrets() -> None:
    logins = Logins()
    for instance in ("i-1", None):
        for device in (True, False):
            request = parse_connect(connect(instance, device))
            kept = logins.keep(request, ORIGIN, {"Origin": "https://gw.example.com"})
            assert b"a-secret" not in kept.kind + kept.own
            again, origin, copied = restore(kept)
            assert again.id == request.id
            assert origin == ORIGIN
            assert copied == {"Origin": "https://gw.example.com"}
            said = {name: value for name, value in request.params.raw.items() if name not in ("auth", "device")}
            assert again.params.raw == said
            assert (again.params.device is not None and again.params.device.id) == (device and "ab" * 32)
            assert scopes(kept) == b'["operator.read"]'
            assert request.params.raw["client"].get("instanceId") == instance


def test_clients_of_a_kind_share_what_they_say() -> None:
    logins = Logins()
    one, two = (logins.keep(parse_connect(connect(f"i-{n}", name=f"1:{n}")), ORIGIN, {}) for n in range(2))
    assert one.kind is two.kind
    assert len(one.own) < 200
    for number in range(MAX_KINDS + 10):
        origin = ClientOrigin("203.0.113.7", "https", f"host-{number}", loopback=False)
        logins.keep(parse_connect(connect()), origin, {})
    assert len(logins._kinds) <= MAX_KINDS
