"""A client's login, kept as one bytes object while it is connected, so that the router can log in again in its place."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw_protocol.connect import ConnectRequest, DeviceClaim, parse_connect

from ..origin import ClientOrigin


class _Login(msgspec.Struct, array_like=True):
    id: str
    params: dict[str, Any]
    device: str
    address: str
    proto: str
    host: str
    loopback: bool
    copied: dict[str, str]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Login).decode


def keep(request: ConnectRequest, origin: ClientOrigin, copied: dict[str, str]) -> bytes:
    """Return everything that `leg.greet` needs to know of a client. No secret: its token and device proof are left out."""
    params = request.params
    return _encode(
        _Login(
            request.id,
            {name: value for name, value in params.raw.items() if name not in ("auth", "device")},
            params.device.id if params.device is not None else "",
            origin.address,
            origin.proto,
            origin.host,
            origin.loopback,
            copied,
        )
    )


def restore(kept: bytes) -> tuple[ConnectRequest, ClientOrigin, dict[str, str]]:
    """Return what `keep` was given, with a device that has nothing but its id."""
    login = _decode(kept)
    frame = {"type": "req", "id": login.id, "method": "connect", "params": login.params}
    request = parse_connect(_encode(frame))
    if login.device:
        claim = DeviceClaim(login.device, "-", "-", 0, "-")
        request = ConnectRequest(request.id, msgspec.structs.replace(request.params, device=claim))
    return request, ClientOrigin(login.address, login.proto, login.host, login.loopback), login.copied


def scopes(kept: bytes) -> bytes:
    """Return the scopes that a client asked for, as JSON."""
    return _encode(_decode(kept).params.get("scopes"))


def client_id(kept: bytes) -> str:
    """Return the kind of client, e.g. `openclaw-tui`."""
    client = _decode(kept).params.get("client")
    return str(client.get("id", "")) if isinstance(client, dict) else ""
