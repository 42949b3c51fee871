"""`connect`, the first request of a client: read strictly, refused with upstream's own words."""

from typing import Annotated, Any, Final, Literal, NoReturn

import msgspec

from openclaw_protocol import schema
from openclaw_protocol.clients import ClientInfo, NonEmptyStr
from openclaw_protocol.rejections import (
    MINIMUM_PROBE_PROTOCOL,
    PROTOCOL_VERSION,
    FrameTooLarge,
    InvalidClient,
    InvalidConnectParams,
    InvalidFrame,
    InvalidRole,
    NotConnect,
    NotJson,
    ProtocolMismatch,
    Rejection,
    WorkerRefused,
)

MAX_CONNECT_BYTES: Final = 65_536
"""Upstream's `MAX_PREAUTH_PAYLOAD_BYTES`: nobody has proved anything yet."""

_MAX_INT: Final = 2**63 - 1

Role = Literal["operator", "node"]


class DeviceClaim(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`connect.params.device`: a public key and its signature over the challenge; `signed_at` in ms since 1970."""

    id: NonEmptyStr
    public_key: NonEmptyStr
    signature: NonEmptyStr
    signed_at: Annotated[int, msgspec.Meta(ge=0, le=_MAX_INT)]
    nonce: NonEmptyStr


class Auth(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`connect.params.auth`: whatever the client has to show."""

    token: str | None = None
    bootstrap_token: str | None = None
    device_token: str | None = None
    password: str | None = None
    approval_runtime_token: str | None = None
    agent_runtime_identity_token: str | None = None


class ConnectParams(msgspec.Struct, frozen=True):
    """What a client says of itself. `raw` is the params object as it was sent, for whoever passes it on."""

    raw: dict[str, Any]
    min_protocol: int
    max_protocol: int
    client: ClientInfo
    role: Role
    scopes: tuple[str, ...]
    caps: tuple[str, ...]
    user_agent: str | None
    auth: Auth
    device: DeviceClaim | None

    @property
    def token(self) -> str | None:
        """`auth.token`, else `auth.password` (either holds the gateway token); an empty one counts as missing."""
        return self.auth.token or self.auth.password or None

    @property
    def signature_token(self) -> str:
        """The token a device signs: unlike for login, an empty `auth.token` counts as given, and a password never."""
        auth = self.auth
        for value in (auth.token, auth.device_token, auth.bootstrap_token):
            if value is not None:
                return value
        return ""


class ConnectRequest(msgspec.Struct, frozen=True):
    """A `connect` that keeps to the protocol; whether it is let in is another question."""

    id: str
    params: ConnectParams


class _ModelCatalog(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    agent_id: NonEmptyStr | msgspec.UnsetType = msgspec.UNSET
    session_key: NonEmptyStr | msgspec.UnsetType = msgspec.UNSET


_NO_AUTH: Final = Auth()


class _Wire(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The usual part of `ConnectParamsSchema`; what does not fit is looked at again by `schema`, in all detail."""

    min_protocol: Annotated[int, msgspec.Meta(ge=1, le=_MAX_INT)]
    max_protocol: Annotated[int, msgspec.Meta(ge=1, le=_MAX_INT)]
    client: ClientInfo
    caps: tuple[NonEmptyStr, ...] = ()
    commands: tuple[NonEmptyStr, ...] = ()
    computer_use: Any = msgspec.UNSET
    permissions: dict[str, bool] | msgspec.UnsetType = msgspec.UNSET
    path_env: str | msgspec.UnsetType = msgspec.UNSET
    role: NonEmptyStr = "operator"
    scopes: tuple[NonEmptyStr, ...] = ()
    model_catalog: _ModelCatalog | msgspec.UnsetType = msgspec.UNSET
    device: DeviceClaim | None = None
    auth: Auth = _NO_AUTH
    locale: str | msgspec.UnsetType = msgspec.UNSET
    user_agent: str | None = None


def parse_connect(data: bytes | str) -> ConnectRequest:
    """Read the first message of a client; text and binary messages are equal to upstream.

    Raises:
        Rejection: `FrameTooLarge`, `NotJson`, `WorkerRefused`, `InvalidFrame`, `NotConnect`, `InvalidConnectParams`,
            `ProtocolMismatch`, `InvalidRole` or `InvalidClient`, looked for in this order as upstream does; its
            `request_id` is set as soon as there is one.
    """
    if len(data) > MAX_CONNECT_BYTES or (isinstance(data, str) and len(data.encode()) > MAX_CONNECT_BYTES):
        raise FrameTooLarge
    try:
        frame = _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        frame = _decode_as_javascript(data)
    if not isinstance(frame, dict):
        raise InvalidFrame("must be object")
    params = frame.get("params")
    if _claims_worker(params):
        raise WorkerRefused
    request_id = _request_id(frame)
    try:
        if frame["method"] != "connect":
            raise NotConnect
        return ConnectRequest(request_id, _connect_params(params))
    except Rejection as rejection:
        rejection.request_id = request_id
        raise


_decode: Final = msgspec.json.Decoder().decode


def _decode_as_javascript(data: bytes | str) -> Any:
    """Decode what msgspec refuses and `JSON.parse` takes: lone surrogates, enormous numbers, broken UTF-8."""
    import json  # a start has no time for what only a broken or very rare message needs

    text = data if isinstance(data, str) else data.decode(errors="replace")
    try:
        # A surrogate half can be written as an escape, but nobody can send it on: it becomes U+FFFD as in a browser.
        value = json.loads(text, parse_constant=_no_json, parse_int=_number)
        text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return json.loads(text, parse_int=_number)
    except (ValueError, RecursionError):
        raise NotJson from None


def _no_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _number(digits: str) -> int | float:
    # Python limits the digits of an int; beyond 308 of them JavaScript has infinity.
    return int(digits) if len(digits) < 300 else float(digits)


def _claims_worker(params: object) -> bool:
    if not isinstance(params, dict):
        return False
    client = params.get("client")
    return params.get("role") == "worker" or (
        isinstance(client, dict) and (client.get("id") == "openclaw-worker" or client.get("mode") == "worker")
    )


def _request_id(frame: dict[str, Any]) -> str:
    request_id, method = frame.get("id"), frame.get("method")
    usual = (
        len(frame) == 4
        and frame.get("type") == "req"
        and "params" in frame
        and isinstance(request_id, str)
        and isinstance(method, str)
        and request_id != ""
        and method != ""
    )
    if not usual:
        problems = schema.describe_errors(schema.REQUEST_FRAME, frame)
        if problems is not None:
            raise InvalidFrame(problems, request_id)
    assert isinstance(request_id, str)
    return request_id


def _connect_params(raw: Any) -> ConnectParams:
    wire = _usual(raw)
    if wire is None:
        problems = schema.describe_errors(schema.CONNECT_PARAMS, raw)
        if problems is not None:
            raise InvalidConnectParams(problems)
        wire = msgspec.convert(_usual_part(raw), _Wire)
    client = wire.client
    if not _speaks_our_protocol(wire.min_protocol, wire.max_protocol, client, wire.role):
        raise ProtocolMismatch(wire.min_protocol, wire.max_protocol)
    role = _ROLES.get(wire.role)
    if role is None:
        raise InvalidRole
    if client.id == "openclaw-browser-copilot" and (client.mode != "ui" or not _COPILOT_CAPS.issubset(wire.caps)):
        raise InvalidClient
    return ConnectParams(
        raw=raw,
        min_protocol=wire.min_protocol,
        max_protocol=wire.max_protocol,
        client=client,
        role=role,
        scopes=wire.scopes,
        caps=wire.caps,
        user_agent=wire.user_agent,
        auth=wire.auth,
        device=wire.device,
    )


_ROLES: Final[dict[str, Role]] = {"operator": "operator", "node": "node"}
_COPILOT_CAPS: Final = frozenset({"run-tool-bindings", "session-scoped-events"})


def _speaks_our_protocol(minimum: int, maximum: int, client: ClientInfo, role: str) -> bool:
    """Everybody must know protocol 4; probes and node hosts may be one version behind."""
    if minimum <= PROTOCOL_VERSION <= maximum:
        return True
    if client.mode == "probe":
        return maximum >= MINIMUM_PROBE_PROTOCOL and minimum <= PROTOCOL_VERSION
    return role == "node" and client.mode == "node" and minimum <= MINIMUM_PROBE_PROTOCOL <= maximum


def _usual(raw: Any) -> _Wire | None:
    """The params as typed, or None for those that need a closer look, be they wrong or only rare."""
    try:
        wire = msgspec.convert(raw, _Wire)
    except msgspec.ValidationError:
        return None
    client = wire.client
    rare = (
        # The types take null for an optional value, the schema does not.
        None in raw.values()
        or None in raw["client"].values()
        or (wire.auth is not _NO_AUTH and None in raw["auth"].values())
        or (client.build_id is not None and not 1 <= len(client.build_id) <= 96)
        or (client.time_zone is not None and not 1 <= len(client.time_zone) <= 64)
    )
    return None if rare else wire


def _usual_part(raw: dict[str, Any]) -> dict[str, Any]:
    """A valid but rare object, reduced to what is read here and to Python's kinds of number."""
    part = {name: value for name, value in raw.items() if name in _READ}
    for name in ("minProtocol", "maxProtocol"):
        part[name] = _as_int(part[name])
    if "device" in part:
        part["device"] = {**part["device"], "signedAt": _as_int(part["device"]["signedAt"])}
    return part


_READ: Final = frozenset(
    {"minProtocol", "maxProtocol", "client", "caps", "role", "scopes", "device", "auth", "userAgent"}
)


def _as_int(number: float) -> int:
    return min(int(number), _MAX_INT)
