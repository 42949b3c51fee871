"""From an object as the API server sends it to its record. Raises nothing for any object that an API server would send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from tenant_api.kubernetes_names import COMPONENT_LABEL, GATEWAY, GROUP, TEMPLATE_LABEL, TENANT_LABEL

from ..apiserver.resources import Json
from ..objects.claim import BoundFacts
from ..objects.marks import APPLIED, RETAINED, USER
from .essence import encode, essence, fingerprint
from .records import (
    ChildRecord,
    ClaimRecord,
    DeploymentRecord,
    PodRecord,
    Record,
    TemplateRecord,
    TenantRecord,
)

_KEPT_METADATA = (
    "name",
    "namespace",
    "uid",
    "labels",
    "annotations",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Holds the whole object again."""


def tenant_record(body: Json) -> TenantRecord:
    """Return a Tenant's record."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    return TenantRecord(
        **_common(metadata, metadata["name"]),
        created=metadata.get("creationTimestamp") or "",
        deleted=metadata.get("deletionTimestamp") is not None,
        generation=int(metadata.get("generation") or 0),
        template=str((spec.get("templateRef") or {}).get("name") or ""),
        tokens=tuple(_digests(spec)),
        power=str(spec.get("power") or "Auto"),
        source=_source(body),
        status=_status(body),
    )


def template_record(body: Json) -> TemplateRecord:
    """Return a TenantTemplate's record."""
    metadata = body["metadata"]
    return TemplateRecord(
        **_common(metadata, metadata["name"]),
        generation=int(metadata.get("generation") or 0),
        source=_source(body),
        status=_status(body),
    )


def deployment_record(body: Json) -> DeploymentRecord:
    """Return a Deployment's record."""
    metadata = body["metadata"]
    conditions = (body.get("status") or {}).get("conditions") or []
    failures = [
        condition.get("message") or condition.get("reason") or "it can't make its pod"
        for condition in conditions
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]
    return DeploymentRecord(
        **_child(body),
        replicas=int(body.get("spec", {}).get("replicas") or 0),
        resource_version=str(metadata.get("resourceVersion") or ""),
        failure=failures[0] if failures else "",
    )


def secret_record(body: Json) -> ChildRecord:
    """Return a Secret's record."""
    return ChildRecord(**_child(body))


def claim_record(body: Json) -> ClaimRecord:
    """Return a claim's record."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    source = spec.get("dataSource")
    return ClaimRecord(
        **_common(metadata, _tenant_of(metadata)),
        owner=_owner(metadata),
        phase=str((body.get("status") or {}).get("phase") or "Pending"),
        facts=BoundFacts(
            tuple(spec.get("accessModes") or ()),
            spec.get("storageClassName"),
            dict(source) if source else None,
            str(((spec.get("resources") or {}).get("requests") or {}).get("storage") or "0"),
        ),
        user=annotations.get(USER, ""),
        retained=annotations.get(RETAINED, ""),
        resource_version=str(metadata.get("resourceVersion") or ""),
        created=metadata.get("creationTimestamp") or "",
    )


def pod_record(body: Json) -> PodRecord:
    """Return a pod's record."""
    metadata, status = body["metadata"], body.get("status") or {}
    ready: Json = next((one for one in status.get("conditions") or [] if one.get("type") == "Ready"), {})
    return PodRecord(
        **_common(metadata, _tenant_of(metadata)),
        component=(metadata.get("labels") or {}).get(COMPONENT_LABEL, ""),
        ip=str(status.get("podIP") or ""),
        phase=str(status.get("phase") or "Pending"),
        ready=ready.get("status") == "True",
        terminating=metadata.get("deletionTimestamp") is not None,
        created=seconds(metadata.get("creationTimestamp")),
        ready_since=seconds(ready.get("lastTransitionTime")),
        trouble=_trouble(status),
        cpu_limit=_cpu_limit(body.get("spec") or {}),
        template=(metadata.get("labels") or {}).get(TEMPLATE_LABEL, ""),
    )


def seconds(text: str | None) -> float:
    """Return an RFC 3339 time as seconds since 1970; 0 for none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def version_of(metadata: Json) -> int:
    """Return an object's version as a number that grows with each write; 0 for none."""
    version = str(metadata.get("resourceVersion") or "0")
    return int(version) if version.isdigit() else 0


def _cpu_limit(spec: Json) -> str:
    for container in spec.get("containers") or []:
        if container.get("name") == GATEWAY:
            return str(((container.get("resources") or {}).get("limits") or {}).get("cpu") or "")
    return ""


def _trouble(status: Json) -> tuple[str, str] | None:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return condition.get("reason") or "Unschedulable", condition.get("message") or "no node can run it"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            last = ((container.get("lastState") or {}).get("terminated") or {}).get("message")
            return reason, str(last or waiting.get("message") or reason).strip()
    if status.get("phase") == "Failed":
        return status.get("reason") or "PodFailed", status.get("message") or "the pod failed"
    return None


def _common(metadata: Json, tenant: str) -> dict[str, Any]:
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "version": version_of(metadata),
        "tenant": tenant,
    }


def _child(body: Json) -> dict[str, Any]:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    content = encode(essence(body))
    return {
        **_common(metadata, _tenant_of(metadata)),
        "owner": _owner(metadata),
        "applied": annotations.get(APPLIED, ""),
        "fingerprint": fingerprint(content),
        "content": content,
        "marks": {key: value for key, value in annotations.items() if key.startswith(f"{GROUP}/")},
    }


def _tenant_of(metadata: Json) -> str:
    return str((metadata.get("labels") or {}).get(TENANT_LABEL) or "")


def _owner(metadata: Json) -> str:
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("kind") == "Tenant" and str(owner.get("apiVersion", "")).startswith(f"{GROUP}/"):
            return str(owner.get("uid") or "")
    return ""


def _digests(spec: Json) -> list[bytes]:
    found = []
    for token in spec.get("tokens") or []:
        try:
            found.append(bytes.fromhex(token["sha256"]))
        except (KeyError, TypeError, ValueError):
            continue  # the model says what is wrong with it
    return found


def _source(body: Json) -> bytes:
    metadata = {key: body["metadata"][key] for key in _KEPT_METADATA if key in body["metadata"]}
    annotations = metadata.get("annotations")
    if annotations and _LAST_APPLIED in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != _LAST_APPLIED}
    # Items of a list don't say their apiVersion and kind; the models know them.
    return msgspec.json.encode({"metadata": metadata, "spec": body.get("spec") or {}})


def _status(body: Json) -> bytes:
    return msgspec.json.encode(body.get("status") or {})


__all__ = [
    "Record",
    "claim_record",
    "deployment_record",
    "pod_record",
    "seconds",
    "secret_record",
    "template_record",
    "tenant_record",
    "version_of",
]
