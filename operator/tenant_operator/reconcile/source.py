"""Whether what a template's volumes start as copies of can be copied, judged by the object itself. Pure.

The rules are those of https://kubernetes.io/docs/concepts/storage/volume-pvc-datasource/: a copy is never smaller, it is a file
system as its source is, and the source is bound. Another storage class is allowed, as long as its provisioner is the same.
"""

from __future__ import annotations

from tenant_api.quantities import format_bytes, parse_quantity
from tenant_api.template import TemplateVolume

from ..apiserver.resources import SNAPSHOT, Json, Resource
from .conditions import Statement


def judge_source(resource: Resource, name: str, body: Json, volume: TemplateVolume) -> Statement:
    """Return the condition VolumeReady of a template whose source is there."""
    status, what = body.get("status") or {}, f"{resource.kind} {name!r}"
    if body["metadata"].get("deletionTimestamp") is not None:
        return _not("SourceNotReady", f"{what} is being deleted: name another source, or make it anew under this name")
    if resource is SNAPSHOT:
        if not status.get("readyToUse", False):
            why = (status.get("error") or {}).get("message")
            return _not("SourceNotReady", f"{what} is not ready to use" + (f": {why}" if why else ""))
        size, hint = status.get("restoreSize"), ""
    else:
        spec = body.get("spec") or {}
        if spec.get("volumeMode") == "Block":
            return _not(
                "SourceIsBlock", f"{what} is a block device, and gateways need a file system: name a claim of one"
            )
        if status.get("phase") != "Bound":
            return _not(
                "SourceNotReady", f"{what} is {status.get('phase') or 'Pending'}: clones wait until it is bound"
            )
        size = (status.get("capacity") or {}).get("storage") or (spec.get("resources") or {}).get("requests", {}).get(
            "storage"
        )
        hint = _other_class(spec.get("storageClassName"), volume.storage_class_name)
    least = int(parse_quantity(size)) if size else 0
    if volume.size < least:
        return _not(
            "SizeTooSmall",
            f"spec.volume.size is {format_bytes(volume.size)}, but {what} has {size}, and no copy is smaller: set it to {size} "
            "or more",
        )
    return Statement.of("VolumeReady", True, "SourceFound", f"volumes start as copies of {what}{hint}")


def _other_class(source: str | None, wanted: str | None) -> str:
    if wanted is None or source is None or source == wanted:
        return ""
    return f", from storage class {source} to {wanted}: both must have the same provisioner"


def _not(reason: str, message: str) -> Statement:
    return Statement.of("VolumeReady", False, reason, message)
