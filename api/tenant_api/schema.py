"""What every model of the API shares: group and version, spelling, and which facts the CRDs take from a field.

The CRDs are generated from these models, so they stay structural: plain types, lists, objects and string-keyed maps.
A field's description is what `kubectl explain` prints.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

GROUP: Final = "openclaw-tenancy.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "openclaw-tenancy.dev/v1alpha1"

PRESERVE_UNKNOWN: Final[dict[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}
"""Marks a field that holds free JSON: the API server must not prune it."""

ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-map-type": "atomic"}
"""Marks an object that one writer writes as a whole: the API server then keeps one owner of it and not one of each of its
fields, which is a fifth of an asleep Tenant's size, in etcd and in every watch (Kubernetes, "Server-Side Apply: Merge strategy").
"""


class ApiModel(BaseModel):
    """A part of a resource: camelCase keys, no unknown ones, replaced as a whole and never changed in place."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        # 42 is no name and "yes" no boolean: YAML's guesses must not pass by accident (`userId: 0123` is another user).
        strict=True,
    )


def cel(*rules: tuple[str, str]) -> dict[str, Any]:
    """Return the schema extra for CEL rules, each a pair of rule and message (`x-kubernetes-validations`)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}
