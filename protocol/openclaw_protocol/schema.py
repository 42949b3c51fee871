"""The JSON schemas of a first message, and what upstream's validator says about one that breaks them.

Upstream validates with TypeBox 1.3 and passes its words on to the client, so this follows TypeBox: the order of the
keywords, the limit of eight errors, the text of each. Only run for a message that the quick decoder did not accept.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from openclaw_protocol.clients import CLIENT_IDS, CLIENT_MODES

Schema = dict[str, Any]
_Add = Callable[..., None]

_MAX_ERRORS: Final = 8
"""TypeBox's `Settings.maxErrors`."""


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


_STRING: Final[Schema] = {"type": "string"}
_NON_EMPTY: Final[Schema] = {"type": "string", "minLength": 1}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_POSITIVE: Final[Schema] = {"type": "integer", "minimum": 1}
_ANY: Final[Schema] = {}

REQUEST_FRAME: Final = _object(
    ("type", "id", "method"),
    type={"type": "string", "const": "req"},
    id=_NON_EMPTY,
    method=_NON_EMPTY,
    params=_ANY,
    traceparent={"type": "string", "maxLength": 128},
    expectedProfileId={"type": "string", "minLength": 1, "maxLength": 128},
)
"""`RequestFrameSchema`."""

_WORKER_RUNS: Final = _object(
    ("bundleHash", "openclawVersion", "protocolFeatures"),
    bundleHash={"type": "string", "minLength": 64, "maxLength": 64, "pattern": "^[a-f0-9]{64}$"},
    openclawVersion={"type": "string", "minLength": 1, "maxLength": 128},
    protocolFeatures=_list({"type": "string", "minLength": 1, "maxLength": 128}, maxItems=64, uniqueItems=True),
    bundlePrewarm={"type": "integer", "minimum": 1, "maximum": 2**53 - 1},
)

CONNECT_PARAMS: Final = _object(
    ("minProtocol", "maxProtocol", "client"),
    minProtocol=_POSITIVE,
    maxProtocol=_POSITIVE,
    client=_object(
        ("id", "version", "platform", "mode"),
        id={"enum": CLIENT_IDS},
        displayName=_NON_EMPTY,
        version=_NON_EMPTY,
        buildId={"type": "string", "minLength": 1, "maxLength": 96},
        platform=_NON_EMPTY,
        deviceFamily=_NON_EMPTY,
        modelIdentifier=_NON_EMPTY,
        timeZone={"type": "string", "minLength": 1, "maxLength": 64},
        mode={"enum": CLIENT_MODES},
        instanceId=_NON_EMPTY,
    ),
    caps=_list(_NON_EMPTY),
    commands=_list(_NON_EMPTY),
    computerUse=_ANY,
    workerRuns=_WORKER_RUNS,
    # TypeBox makes a record of the key pattern `^.*$`, and its dot knows no line ends: such a key is not looked at.
    permissions={"type": "object", "patternProperties": {"type": "boolean"}},
    pathEnv=_STRING,
    role=_NON_EMPTY,
    scopes=_list(_NON_EMPTY),
    modelCatalog={
        "anyOf": (
            _object(agentId=_NON_EMPTY, sessionKey=_NON_EMPTY),
            _object(("shortId",), agentId=_NON_EMPTY, shortId=_NON_EMPTY, slugHint=_NON_EMPTY),
        )
    },
    device=_object(
        ("id", "publicKey", "signature", "signedAt", "nonce"),
        id=_NON_EMPTY,
        publicKey=_NON_EMPTY,
        signature=_NON_EMPTY,
        signedAt=_COUNT,
        nonce=_NON_EMPTY,
    ),
    auth=_object(
        token=_STRING,
        bootstrapToken=_STRING,
        deviceToken=_STRING,
        password=_STRING,
        approvalRuntimeToken=_STRING,
        agentRuntimeIdentityToken=_STRING,
    ),
    locale=_STRING,
    userAgent=_STRING,
)
"""`ConnectParamsSchema` of OpenClaw 2026.9.6."""


def describe_errors(schema: Schema, value: Any) -> str | None:
    """Upstream's `formatValidationErrors` for `value`, or None when the schema accepts it.

    Lengths are counted in code points, TypeBox counts graphemes: they differ for combining marks in an overlong text.
    """
    errors: list[_Error] = []
    _check(schema, "", value, errors)
    if not errors:
        return None
    texts = (error.text() for error in _without_children(errors))
    return "; ".join(dict.fromkeys(texts))


class _Error(msgspec.Struct, frozen=True):
    keyword: str
    path: str
    message: str
    properties: tuple[str, ...] = ()

    def text(self) -> str:
        first = next((name for name in self.properties if name.strip()), None)
        if self.keyword == "additionalProperties" and first is not None:
            return f"at {self.path or 'root'}: unexpected property '{first}'"
        message = self.message
        if self.keyword == "required" and first is not None:
            message = f"must have required property '{first}'"
        return f"at {self.path}: {message}" if self.path else message


def _without_children(errors: list[_Error]) -> list[_Error]:
    """TypeBox reports each unexpected property and then all of them: keep the latter, unless the limit cut it off."""
    kept: list[_Error] = []
    for error in errors:
        if error.keyword == "additionalProperties":
            children = [f"{error.path}/{name}" for name in error.properties]
            tail = kept[-len(children) :]
            if [child.path for child in tail if child.keyword == "boolean"] == children:
                del kept[-len(children) :]
        kept.append(error)
    return kept


def _check(schema: Schema, path: str, value: Any, errors: list[_Error]) -> None:
    """Append what is wrong with `value`, in the order in which TypeBox looks at a schema's keywords."""

    def add(keyword: str, message: str, properties: tuple[str, ...] = ()) -> None:
        if len(errors) < _MAX_ERRORS:
            errors.append(_Error(keyword, path, message, properties))

    if "type" in schema and not _TYPES[schema["type"]](value):
        add("type", f"must be {schema['type']}")
    if isinstance(value, dict):
        _check_object(schema, path, value, errors, add)
    elif isinstance(value, list):
        _check_array(schema, path, value, errors, add)
    elif isinstance(value, str):
        _check_string(schema, value, add)
    elif _is_number(value):
        if value > schema.get("maximum", value):
            add("maximum", f"must be <= {schema['maximum']}")
        if value < schema.get("minimum", value):
            add("minimum", f"must be >= {schema['minimum']}")
    if "const" in schema and value != schema["const"]:
        add("const", "must be equal to constant")
    if "enum" in schema and not (isinstance(value, str) and value in schema["enum"]):
        add("enum", "must be equal to one of the allowed values")
    if "anyOf" in schema:
        _check_any_of(schema["anyOf"], path, value, errors, add)


def _check_object(schema: Schema, path: str, value: dict[str, Any], errors: list[_Error], add: _Add) -> None:
    missing = tuple(name for name in schema.get("required", ()) if name not in value)
    if missing:
        add("required", f"must have required properties {', '.join(missing)}", missing)
    properties: Schema = schema.get("properties", {})
    if schema.get("additionalProperties") is False:
        unexpected = tuple(name for name in value if name not in properties)
        for name in unexpected:
            if len(errors) < _MAX_ERRORS:
                errors.append(_Error("boolean", f"{path}/{name}", "schema is false"))
        if unexpected:
            add("additionalProperties", "must not have additional properties", unexpected)
    if "patternProperties" in schema:
        for name, item in value.items():
            if not _LINE_ENDS.search(name):
                _check(schema["patternProperties"], f"{path}/{name}", item, errors)
    for name, property_schema in properties.items():
        if name in value:
            _check(property_schema, f"{path}/{name}", value[name], errors)


def _check_array(schema: Schema, path: str, value: list[Any], errors: list[_Error], add: _Add) -> None:
    if "items" in schema:
        for index, item in enumerate(value):
            _check(schema["items"], f"{path}/{index}", item, errors)
    if len(value) > schema.get("maxItems", len(value)):
        add("maxItems", f"must not have more than {schema['maxItems']} items")
    if schema.get("uniqueItems") and len({_encode(item) for item in value}) != len(value):
        add("uniqueItems", "must not have duplicate items")


def _check_string(schema: Schema, value: str, add: _Add) -> None:
    if len(value) > schema.get("maxLength", len(value)):
        add("maxLength", f"must not have more than {schema['maxLength']} characters")
    if len(value) < schema.get("minLength", 0):
        add("minLength", f"must not have fewer than {schema['minLength']} characters")
    if "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        add("pattern", f'must match pattern "{schema["pattern"]}"')


def _check_any_of(schemas: tuple[Schema, ...], path: str, value: Any, errors: list[_Error], add: _Add) -> None:
    failures: list[_Error] = []
    for schema in schemas:
        found: list[_Error] = []
        _check(schema, path, value, found)
        if not found:
            return
        failures.extend(found)
    errors.extend(failures[: _MAX_ERRORS - len(errors)])
    add("anyOf", "must match a schema in anyOf")


def _is_number(value: Any) -> bool:
    """A finite number that is no boolean: what JavaScript's `Number.isFinite` accepts."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) < _JAVASCRIPT_INFINITY
    return isinstance(value, float) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    """JavaScript has one kind of number: 4.0 is an integer."""
    return _is_number(value) and value == math.floor(value)


_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
}

_encode: Final = msgspec.json.Encoder(order="sorted").encode

_JAVASCRIPT_INFINITY: Final = 2**1024

_LINE_ENDS: Final = re.compile("[\\n\\r\\u2028\\u2029]")
"""What a dot does not match in JavaScript."""
