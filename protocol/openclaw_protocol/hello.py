"""hello-ok, the answer to `connect`: built by a gateway, and made fit for its client by the router in between."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from openclaw_protocol.rejections import PROTOCOL_VERSION, InvalidFrame

MAX_PAYLOAD_BYTES: Final = 26_214_400
"""25 MiB: the largest message after hello, told to the client in `policy`."""

MAX_BUFFERED_BYTES: Final = 52_428_800
"""50 MiB: a client with more unread than this is closed with 1008 `slow consumer`."""

TICK_INTERVAL_MS: Final = 30_000
"""A client gives a gateway up that it has not heard of for twice this time."""

_Members = dict[str, msgspec.Raw]
_Piece = bytes | msgspec.Raw


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    """The answer to `connect`, with its long parts left as the bytes they are."""

    type: str
    id: str
    ok: bool
    payload: _Members | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Snapshot(msgspec.Struct):
    authMode: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815 - upstream's name


class _Auth(msgspec.Struct):
    deviceToken: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815
    deviceTokens: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815


class _Tail(msgspec.Struct):
    """The members of a payload from `snapshot` on, as far as `_usual` must know them."""

    snapshot: _Snapshot
    auth: _Auth


_decode_tail: Final = msgspec.json.Decoder(_Tail).decode
_START: Final = re.compile(rb'\{"type":"res","id":"[^"\\]*"(?=,"ok":true,"payload":\{)')
_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_members: Final = msgspec.json.Decoder(_Members).decode
_encode: Final = msgspec.json.Encoder().encode


class Restored(NamedTuple):
    """A gateway's answer as the client shall see it."""

    frame: bytes
    ok: bool
    """It is a hello; else a refusal."""


def restore_hello(frame: bytes | str, request_id: str) -> Restored:
    """Make a gateway's answer to the router's `connect` the answer to the client's.

    The id becomes the client's; `auth.deviceToken` and `auth.deviceTokens` go, since some clients would send them in
    place of the tenant's token next time; `snapshot.authMode` becomes `token`, which is how the client came in. All
    else stays byte for byte. A failed response only gets the id.

    Raises:
        InvalidFrame: not a response to `connect`.
    """
    try:
        if isinstance(frame, bytes) and (usual := _usual(frame, request_id)) is not None:
            return usual
        answer = _decode_answer(frame)
        parts: list[_Piece] = [b'{"type":"res","id":', _encode(request_id)]
        if answer.type != "res":
            raise InvalidFrame("expected a response")
        if not answer.ok and answer.error is not msgspec.UNSET and answer.payload is msgspec.UNSET:
            parts += (b',"ok":false,"error":', answer.error, b"}")
            return Restored(b"".join(parts), False)
        if answer.ok and answer.payload is not msgspec.UNSET and answer.error is msgspec.UNSET:
            parts.append(b',"ok":true,"payload":')
            _write_payload(answer.payload, parts)
            parts.append(b"}")
            return Restored(b"".join(parts), True)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return restore_hello_slowly(frame, request_id)


def _usual(frame: bytes, request_id: str) -> Restored | None:
    """Restore a hello as gateways write it, by replacing two pieces of its bytes; None: it is not written so.

    Gateways write `snapshot` and `auth` behind the long lists of what they can do, which are passed on unread. A tail that
    decodes is a payload's own members from `snapshot` on, since two objects are open where it begins and two end behind it;
    and what is named once in it, and found by the decoder where it belongs, is at that place.
    """
    start, cut = _START.match(frame), frame.rfind(b',"snapshot":{')
    if start is None or cut < 0 or not frame.endswith(b"}}"):
        return None
    tail = frame[cut + 1 : -2]
    if b"\\" in tail:  # names could be spelled in other ways
        return None
    try:
        members = _decode_tail(b"{%b}" % tail)
    except msgspec.MsgspecError:
        return None
    mode = members.snapshot.authMode
    if mode is msgspec.UNSET or not members.auth.deviceToken is members.auth.deviceTokens is msgspec.UNSET:
        return None
    named = b'"authMode":' + _encode(mode)
    before, found, after = tail.partition(named)
    if not found or b'"authMode"' in before or b'"authMode"' in after:
        return None
    parts = (
        b'{"type":"res","id":',
        _encode(request_id),
        frame[start.end() : cut + 1],
        before,
        b'"authMode":"token"',
        after,
    )
    return Restored(b"".join((*parts, b"}}")), True)


def _write_payload(payload: _Members, parts: list[_Piece]) -> None:
    auth = payload.get("auth")
    if auth is not None and _may_name(auth, b"deviceToken"):
        members = _decode_members(auth)
        members.pop("deviceToken", None)
        members.pop("deviceTokens", None)
        payload["auth"] = msgspec.Raw(_join(members))
    snapshot = payload.get("snapshot")
    if snapshot is not None and _may_name(snapshot, b"authMode"):
        members = _decode_members(snapshot)
        if "authMode" in members:
            members["authMode"] = _TOKEN_MODE
            payload["snapshot"] = msgspec.Raw(_join(members))
    _write(payload, parts)


_TOKEN_MODE: Final = msgspec.Raw(b'"token"')


def _may_name(value: msgspec.Raw, name: bytes) -> bool:
    """False only when no object in this JSON has the name: a backslash may spell it otherwise."""
    text = bytes(value)
    return name in text or b"\\" in text


def _join(members: _Members) -> bytes:
    parts: list[_Piece] = []
    _write(members, parts)
    return b"".join(parts)


def _write(members: _Members, parts: list[_Piece]) -> None:
    """Write an object again; its values stay the bytes they were."""
    separator = b"{"
    for name, value in members.items():
        parts += (separator, _encode(name), b":", value)
        separator = b","
    parts.append(b"}" if members else b"{}")


def restore_hello_slowly(frame: bytes | str, request_id: str) -> Restored:
    """What `restore_hello` means, without its speed: decode, change, encode. Also for JSON that only JavaScript writes.

    Raises:
        InvalidFrame: not a response to `connect`.
    """
    import json  # never needed for what a gateway really sends

    try:
        text = frame if isinstance(frame, str) else frame.decode()
        answer = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise InvalidFrame("not JSON") from None
    if not isinstance(answer, dict) or answer.get("type") != "res" or not isinstance(answer.get("ok"), bool):
        raise InvalidFrame("expected a response")
    answer["id"] = request_id
    payload = answer.get("payload")
    if answer["ok"] and isinstance(payload, dict):
        auth, snapshot = payload.get("auth"), payload.get("snapshot")
        if isinstance(auth, dict):
            auth.pop("deviceToken", None)
            auth.pop("deviceTokens", None)
        if isinstance(snapshot, dict) and "authMode" in snapshot:
            snapshot["authMode"] = "token"
    # A half surrogate, which JavaScript can write as an escape, stays an escape.
    try:
        written = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        raise InvalidFrame("numbers or nesting beyond measure") from None
    return Restored(written.encode(errors="backslashreplace"), answer["ok"])


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def hello_ok(
    *,
    server: Mapping[str, Any],
    methods: Sequence[str],
    events: Sequence[str],
    auth: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    capabilities: Sequence[str] = (),
    policy: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The payload of hello-ok (`HelloOkSchema`) for a gateway; send it with `frames.response(id, …)`.

    Args:
        server: `version` and `connId` at least, `buildId`, `bootId`.
        methods: what the gateway answers; clients hide what is not listed.
        events: what it may send.
        auth: `role` and `scopes` at least, `method`.
        snapshot: `presence`, `health`, `stateVersion` and `uptimeMs` at least.
        capabilities: named behaviours beyond methods, `features.capabilities`.
        policy: changes to the limits told to the client.
        more: further members, such as `pluginSurfaceUrls` and `controlUiUrl`; None is left out.
    """
    return {
        "type": "hello-ok",
        "protocol": PROTOCOL_VERSION,
        "server": dict(server),
        "features": {"methods": list(methods), "events": list(events), "capabilities": list(capabilities)},
        "snapshot": dict(snapshot),
        **{name: value for name, value in more.items() if value is not None},
        "auth": dict(auth),
        "policy": {
            "maxPayload": MAX_PAYLOAD_BYTES,
            "maxBufferedBytes": MAX_BUFFERED_BYTES,
            "tickIntervalMs": TICK_INTERVAL_MS,
            **(policy or {}),
        },
    }
