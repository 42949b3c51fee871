"""The claim of a tenant's volume: a clone of the template's volume or snapshot."""

from __future__ import annotations

from dataclasses import dataclass

from tenant_api.kubernetes_names import child_name
from tenant_api.quantities import format_bytes, parse_quantity
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

from ..apiserver.resources import SNAPSHOT, Json
from .marks import USER, child_metadata, digest


@dataclass(frozen=True, slots=True)
class BoundFacts:
    """What can't be changed any more about a claim that is there (all of its spec but the size)."""

    access_modes: tuple[str, ...]
    storage_class: str | None
    data_source: Json | None
    requested: str
    """Size that it asks for."""


def build_claim(
    tenant: Tenant, template: TenantTemplate, existing: BoundFacts | None = None, *, grows: bool = True
) -> Json:
    """Return the claim.

    A claim that is there keeps what can't be changed, whatever the template says by now, and never shrinks. With
    `reclaim: Retain` it has no owner, so that it stays when the tenant goes.
    """
    volume = template.spec.volume
    size = tenant.spec.storage.size or volume.size
    if existing is None:
        spec: Json = {"accessModes": list(volume.access_modes)}
        if volume.storage_class_name is not None:
            spec["storageClassName"] = volume.storage_class_name
        if (source := data_source(template)) is not None:
            spec["dataSource"] = source
    else:
        before = int(parse_quantity(existing.requested))
        size = max(size, before) if grows else before
        spec = {"accessModes": list(existing.access_modes)}
        if existing.storage_class is not None:
            spec["storageClassName"] = existing.storage_class
        if existing.data_source is not None:
            spec["dataSource"] = existing.data_source
    spec["resources"] = {"requests": {"storage": format_bytes(size)}}
    metadata = child_metadata(
        tenant,
        child_name(tenant.name),
        owned=tenant.spec.storage.reclaim == "Delete",
        annotations={USER: user_mark(tenant)},
    )
    return {"metadata": metadata, "spec": spec}


def data_source(template: TenantTemplate) -> Json | None:
    """Return what the volume starts as a copy of."""
    source = template.spec.volume.source
    if source is None:
        return None
    if source.persistent_volume_claim is not None:
        return {"kind": "PersistentVolumeClaim", "name": source.persistent_volume_claim.claim_name}
    if source.volume_snapshot is not None:
        return {"apiGroup": SNAPSHOT.group, "kind": SNAPSHOT.kind, "name": source.volume_snapshot.name}
    return None


def user_mark(tenant: Tenant) -> str:
    """Return the mark by which a claim that was left behind is known as its user's: nobody else ever gets it."""
    return digest(tenant.spec.user_id)
