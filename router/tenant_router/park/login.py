"""A client's login, kept while it is connected, so that the router can log in again in its place.

In two parts, because thousands of clients are of a few kinds: what all clients of a kind say is kept once.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from openclaw_protocol.connect import ConnectRequest, DeviceClaim, parse_connect

from ..origin import ClientOrigin

MAX_KINDS: Final = 1024
"""Kinds kept at once; clients that make up more of them only lose the sharing."""


class Login(NamedTuple):
    """Everything that `leg.greet` needs to know of a client. No secret: its token and device proof are left out."""

    kind: bytes
    """What all clients of its kind say."""
    own: bytes
    """What only this one does."""


class _Kind(msgspec.Struct, array_like=True):
    params: dict[str, Any]
    proto: str
    host: str
    loopback: bool
    copied: dict[str, str]


class _Own(msgspec.Struct, array_like=True):
    id: str
    instance: str | None
    device: str
    address: str


_encode = msgspec.json.Encoder().encode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_own = msgspec.json.Decoder(_Own).decode


class Logins:
    """The kinds of clients that are known."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, bytes] = {}

    def keep(self, request: ConnectRequest, origin: ClientOrigin, copied: dict[str, str]) -> Login:
        """Return what to keep of a client."""
        params = request.params
        said = {name: value for name, value in params.raw.items() if name not in ("auth", "device")}
        client = said["client"]
        instance = client.get("instanceId")
        if instance is not None:
            said["client"] = {name: value for name, value in client.items() if name != "instanceId"}
        kind = _encode(_Kind(said, origin.proto, origin.host, origin.loopback, copied))
        device = params.device.id if params.device is not None else ""
        if len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        return Login(self._kinds.setdefault(kind, kind), _encode(_Own(request.id, instance, device, origin.address)))


def restore(kept: Login) -> tuple[ConnectRequest, ClientOrigin, dict[str, str]]:
    """Return what was kept, with a device that has nothing but its id."""
    kind, own = _decode_kind(kept.kind), _decode_own(kept.own)
    if own.instance is not None:
        kind.params["client"]["instanceId"] = own.instance
    request = parse_connect(_encode({"type": "req", "id": own.id, "method": "connect", "params": kind.params}))
    if own.device:
        claim = DeviceClaim(own.device, "-", "-", 0, "-")
        request = ConnectRequest(request.id, msgspec.structs.replace(request.params, device=claim))
    return request, ClientOrigin(own.address, kind.proto, kind.host, kind.loopback), kind.copied


def scopes(kept: Login) -> bytes:
    """Return the scopes that a client asked for, as JSON."""
    return _encode(_decode_kind(kept.kind).params.get("scopes"))
