"""The CRDs are generated from the models: what they need is checked here, so that a model can't lose it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from tenant_api.schema import ApiModel
from tenant_api.secret import Secret
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant


def objects(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return {model.__name__: schema, **schema.get("$defs", {})}


@pytest.mark.parametrize("model", [Tenant, TenantTemplate, Secret])
def test_every_field_and_object_reads_like_documentation(model: type[ApiModel]) -> None:
    known = objects(model)
    for name, schema in known.items():
        assert schema.get("description"), name
        for key, field in schema.get("properties", {}).items():
            # pydantic leaves out what a field says in the words of its own class.
            said = field.get("description") or known[field["$ref"].rpartition("/")[2]]["description"]
            assert said.strip().endswith("."), f"{name}.{key}"


@pytest.mark.parametrize("model", [Tenant, TenantTemplate])
def test_schemas_are_structural(model: type[ApiModel]) -> None:
    """Each value has one type (or none with an unknown-fields mark), references are to objects, keys are camelCase."""

    def check(schema: dict[str, Any], where: str) -> None:
        choices = [part for part in schema.get("anyOf", []) if part.get("type") != "null"]
        if schema.get("x-kubernetes-int-or-string"):
            return
        if choices:
            assert len(choices) == 1, where
            check(choices[0], where)
            return
        assert "oneOf" not in schema and "allOf" not in schema, where
        if "$ref" in schema or "const" in schema or "enum" in schema:
            return
        if schema.get("type") == "array":
            check(schema["items"], f"{where}[]")
        elif schema.get("type") == "object":
            extra = schema.get("additionalProperties")
            if isinstance(extra, dict):
                check(extra, f"{where}{{}}")
        else:
            assert schema.get("type") in ("string", "integer", "boolean", None), where

    for name, schema in objects(model).items():
        for key, field in schema.get("properties", {}).items():
            assert "_" not in key, f"{name}.{key}"
            check(field, f"{name}.{key}")


def test_the_user_id_is_immutable_and_the_overlay_kept_whole() -> None:
    spec = objects(Tenant)["TenantSpec"]["properties"]
    assert spec["userId"]["x-kubernetes-validations"][0]["rule"] == "self == oldSelf"
    assert spec["config"]["x-kubernetes-preserve-unknown-fields"] is True
