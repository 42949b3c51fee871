"""Labels, owners and annotations of what the operator makes, and the hash by which it knows its own work again."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from tenant_api.kubernetes_names import GROUP, gateway_labels
from tenant_api.schema import API_VERSION
from tenant_api.tenant import Tenant

from ..apiserver.resources import Json

APPLIED: Final = f"{GROUP}/applied"
"""Annotation with the hash of the object as it was applied last: the same hash means nothing to do."""
TEMPLATE_VERSION: Final = f"{GROUP}/template-version"
"""Annotation with the version of the template that the object was made from."""
TEMPLATE_CONFIG: Final = f"{GROUP}/template-config"
"""Annotation of a Secret: hash of what its config has from the template."""
TENANT_CONFIG: Final = f"{GROUP}/tenant-config"
"""Annotation of a Secret: hash of what its config has from the tenant."""
PENDING: Final = f"{GROUP}/pending"
"""Annotation of a Deployment: hash of the object that is applied at the tenant's next sleep."""
USER: Final = f"{GROUP}/user"
"""Annotation of a claim: hash of the user whose data it holds."""
RETAINED: Final = f"{GROUP}/retained-from"
"""Annotation of a claim that outlived its tenant: which tenant, and when that went."""

HASH_DIGITS: Final = 16
"""64 bits: enough against chance, and nobody gains by a collision."""


def digest(value: Any) -> str:
    """Return a short hash of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:HASH_DIGITS]


def owner(tenant: Tenant) -> Json:
    """Return the owner reference by which garbage collection takes a child along with its tenant."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Tenant",
        "name": tenant.name,
        "uid": tenant.metadata.uid,
        "controller": True,
    }


def child_metadata(tenant: Tenant, name: str, *, owned: bool = True, annotations: dict[str, str] | None = None) -> Json:
    """Return the metadata of a tenant's child."""
    metadata: Json = {"name": name, "labels": gateway_labels(tenant.name)}
    if owned:
        metadata["ownerReferences"] = [owner(tenant)]
    if annotations:
        metadata["annotations"] = annotations
    return metadata


def stamped(body: Json) -> Json:
    """Return an object with its own hash as an annotation."""
    metadata = body["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: digest(body)}
    return {**body, "metadata": {**metadata, "annotations": annotations}}


def stamp(body: Json) -> str:
    """Return the hash that an object was stamped with."""
    return str(body["metadata"]["annotations"][APPLIED])
