"""What a client builds on in its hello, and how the rest of it is told anew when its gateway is another one."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

_Members = dict[str, msgspec.Raw]


class _Payload(msgspec.Struct):
    features: msgspec.Raw = msgspec.Raw(b"")
    policy: msgspec.Raw = msgspec.Raw(b"")
    server: _Members = {}
    snapshot: _Members = {}


class _Hello(msgspec.Struct):
    payload: _Payload


_decode = msgspec.json.Decoder(_Hello).decode
_BUILT_ON: Final = ("version", "buildId")


def features_of(hello: bytes) -> bytes:
    """Return a digest of what a client decides by once and for all: features, limits, version, default session.

    Not in it: what names one process or connection (`bootId`, `connId`), and what events tell anew (presence, health).
    """
    payload = _payload(hello)
    digest = hashlib.blake2b(digest_size=12)
    for part in (payload.features, payload.policy, payload.snapshot.get("sessionDefaults", b"")):
        digest.update(bytes(part))
    for name in _BUILT_ON:
        digest.update(bytes(payload.server.get(name, b"")))
    return digest.digest()


def _payload(hello: bytes) -> _Payload:
    """A hello that is written strangely has nothing in it that is compared or told."""
    try:
        return _decode(hello).payload
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Payload()


def state_events(hello: bytes) -> list[bytes]:
    """Return a hello's presence and health as the events that tell of them, without `seq`."""
    snapshot = _payload(hello).snapshot
    version = snapshot.get("stateVersion")
    events = []
    for name, payload in (("presence", snapshot.get("presence")), ("health", snapshot.get("health"))):
        if payload is None:
            continue
        body = b'{"presence":%b}' % bytes(payload) if name == "presence" else bytes(payload)
        tail = b',"stateVersion":%b' % bytes(version) if version is not None else b""
        events.append(b'{"type":"event","event":"%b","payload":%b%b}' % (name.encode(), body, tail))
    return events
