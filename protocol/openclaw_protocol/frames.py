"""The three frames of the protocol: `req`, `res`, `event`. One WebSocket message is one JSON object."""

from typing import Annotated, Any, Final

import msgspec

from openclaw_protocol import schema
from openclaw_protocol.clients import NonEmptyStr
from openclaw_protocol.errors import Count, ErrorShape
from openclaw_protocol.rejections import InvalidFrame

__all__ = [
    "ErrorShape",
    "Event",
    "Frame",
    "InvalidFrame",
    "Request",
    "Response",
    "StateVersion",
    "error_response",
    "event",
    "parse_frame",
    "request",
    "response",
]

_ProfileId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class StateVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counters of the state that an event belongs to."""

    presence: Count
    health: Count


class Request(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="req",
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """A call of a method. `params` of another type than object are refused here, upstream refuses them by method."""

    id: NonEmptyStr
    method: NonEmptyStr
    params: dict[str, Any] | None = None
    traceparent: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    expected_profile_id: _ProfileId | None = None


class Response(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="res",
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """The answer to the request with the same id. Some methods (`agent`) answer one id twice."""

    id: NonEmptyStr
    ok: bool
    payload: Any = None
    error: ErrorShape | None = None


class Event(
    msgspec.Struct,
    frozen=True,
    tag_field="type",
    tag="event",
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """Something that happened. Without `seq` it is outside the gateway's numbering, so anybody may insert it."""

    event: NonEmptyStr
    payload: Any = None
    seq: Count | None = None
    state_version: StateVersion | None = None
    recipient_profile_id: _ProfileId | None = None


Frame = Request | Response | Event

_decoder: Final[msgspec.json.Decoder[Frame]] = msgspec.json.Decoder(Frame)
_encode: Final = msgspec.json.Encoder().encode


def parse_frame(data: bytes | str) -> Frame:
    """Decode one message.

    Raises:
        InvalidFrame: not JSON, or not a frame of `GatewayFrameSchema`.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _invalid_frame(data, str(error)) from None


def _invalid_frame(data: bytes | str, problem: str) -> InvalidFrame:
    import json  # a start has no time for what only a broken or very rare message needs

    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return InvalidFrame("not JSON")
    if not isinstance(value, dict):
        return InvalidFrame("must be object")
    if value.get("type") not in ("res", "event"):
        problem = schema.describe_errors(schema.REQUEST_FRAME, value) or problem
    return InvalidFrame(problem, value.get("id"))


def request(id: str, method: str, params: dict[str, Any] | None = None) -> bytes:
    """Encode a `req`; `params` default to `{}`, since upstream's methods refuse a missing object."""
    return _encode(Request(id, method, {} if params is None else params))


def response(id: str, payload: Any) -> bytes:
    """Encode a successful `res`."""
    return _encode({"type": "res", "id": id, "ok": True, "payload": payload})


def error_response(id: str, error: ErrorShape) -> bytes:
    """Encode a failed `res`."""
    return _encode(Response(id, ok=False, error=error))


def event(
    name: str, payload: Any = None, seq: int | None = None, state_version: StateVersion | dict[str, int] | None = None
) -> bytes:
    """Encode an `event`; leave `seq` out for one that is not the gateway's own."""
    frame: dict[str, Any] = {"type": "event", "event": name}
    if payload is not None:
        frame["payload"] = payload
    if seq is not None:
        frame["seq"] = seq
    if state_version is not None:
        frame["stateVersion"] = state_version
    return _encode(frame)
