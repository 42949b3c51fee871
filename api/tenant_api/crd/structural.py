"""pydantic's JSON schema to the structural OpenAPI v3 schema that a CustomResourceDefinition wants.

References are put in place (a CRD knows none), `| None` becomes "may be left out", titles and closed objects go: the API server
prunes or refuses unknown fields by itself. Descriptions stay, they are what `kubectl explain` prints.
Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions: Specifying a structural schema".
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from tenant_api.crd.rules import INSTANT, MORE, spoken, with_rules
from tenant_api.names import MAX_LABEL

MAX_LIST: Final = 64
MAX_MAP: Final = 64
MAX_TEXT: Final = 1024
MAX_QUANTITY: Final = 32
"""Bounds of what the models leave open. The API server estimates a rule's cost by the largest value that may come."""

_DROPPED: Final = frozenset({"title", "additionalProperties", "default", "anyOf", "$ref", "const"})
_FIRST: Final = ("description", "type", "default", "enum", "required")
_LAST: Final = ("properties", "items", "additionalProperties")
"""Order of a schema's keys for a reader: what it is, then what it must be, then what is in it."""
_INSTANT_MESSAGE: Final = "is no time with a zone: write e.g. 2030-01-31T12:00:00Z"


def structural_schema(model: type[BaseModel], field: str, *, bounded: bool) -> dict[str, Any]:
    """Return the schema of one of a resource's fields, `spec` or `status`.

    Parameters
    ----------
    bounded
        Whether people write it, so that lists, maps and texts get bounds and rules. The operator's own status needs none.
    """
    # As it is serialised, because defaults are shown as people write them: 15m, not 900.0.
    schema = model.model_json_schema(by_alias=True, mode="serialization")
    return _Walk(schema.get("$defs", {}), bounded).value(schema["properties"][field])


class _Walk:
    def __init__(self, definitions: dict[str, Any], bounded: bool) -> None:
        self._definitions = definitions
        self._bounded = bounded

    def value(self, schema: dict[str, Any]) -> dict[str, Any]:
        if schema.get("x-kubernetes-int-or-string"):
            return self._done(schema, {"anyOf": schema["anyOf"], "maxLength": MAX_QUANTITY})
        for choice in schema.get("anyOf", ()):
            if choice.get("type") != "null":
                return self.value({**choice, **{key: schema[key] for key in schema if key != "anyOf"}})
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            target = self._definitions[name]
            merged = {**target, **{key: schema[key] for key in schema if key != "$ref"}}
            return with_rules(self._object(merged), *(MORE.get(name, ()) if self._bounded else ()))
        if schema.get("type") == "object":
            return self._object(schema)
        if schema.get("type") == "array":
            made: dict[str, Any] = {"items": self.value(schema["items"])}
            if self._bounded:
                made["maxItems"] = schema.get("maxItems", MAX_LIST)
            return self._done(schema, made)
        return self._scalar(schema)

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if properties := schema.get("properties"):
            made["properties"] = {key: self.value(child) for key, child in properties.items()}
        elif isinstance(values := schema.get("additionalProperties"), dict):
            made["additionalProperties"] = self.value(values)
            if self._bounded:
                made["maxProperties"] = MAX_MAP
        return self._done({**schema, "type": "object"}, made)

    def _scalar(self, schema: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._bounded and schema["type"] == "string":
            if schema.get("format") == "date-time":
                schema = {key: value for key, value in schema.items() if key != "format"}
                made = {"maxLength": MAX_LABEL}
                return with_rules(self._done(schema, made), (f"self.matches({_quoted(INSTANT)})", _INSTANT_MESSAGE))
            if "enum" not in schema:
                made = {"maxLength": schema.get("maxLength", MAX_TEXT)}
        return self._done(schema, made)

    def _done(self, schema: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
        result = {key: value for key, value in schema.items() if key not in _DROPPED} | made
        # Only scalars: an object's default would be stored in every resource, and hide a later one of the models.
        if isinstance(default := schema.get("default"), str | int) and default != "":
            result["default"] = default
        return spoken({key: result[key] for key in sorted(result, key=_place)})


def _place(key: str) -> int:
    if key in _FIRST:
        return _FIRST.index(key)
    return len(_FIRST) + (1 + _LAST.index(key) if key in _LAST else 0)


def _quoted(pattern: str) -> str:
    return '"' + pattern.replace("\\", "\\\\") + '"'
