"""Objects for tests: pods that the Pod Security level `restricted` admits, claims, snapshots, policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

USER = 10001
SNAPSHOTS = "snapshot.storage.k8s.io/v1"
READY_TO_USE = "jsonpath={.status.readyToUse}=true"
"""What `kubectl wait` waits for until volumes can be made from a snapshot."""


def claim(
    name: str,
    storage_class: str | None,
    clone_of: str | None = None,
    size: str = "1Gi",
    from_snapshot: str | None = None,
) -> dict[str, Any]:
    """A PersistentVolumeClaim, empty, or a copy of another one or of a snapshot."""
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    if clone_of:
        spec["dataSource"] = {"kind": "PersistentVolumeClaim", "name": clone_of}
    if from_snapshot:
        group, _, _ = SNAPSHOTS.partition("/")
        spec["dataSource"] = {"apiGroup": group, "kind": "VolumeSnapshot", "name": from_snapshot}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def snapshot(name: str, claim: str) -> dict[str, Any]:
    """A VolumeSnapshot of a claim, by the default class of its driver."""
    spec = {"source": {"persistentVolumeClaimName": claim}}
    return {"apiVersion": SNAPSHOTS, "kind": "VolumeSnapshot", "metadata": {"name": name}, "spec": spec}


def pod(
    name: str,
    image: str,
    command: Sequence[str],
    *,
    labels: Mapping[str, str] | None = None,
    volume: str | None = None,
    config_map: str | None = None,
    ports: Sequence[Mapping[str, Any]] = (),
    restart: str = "Never",
) -> dict[str, Any]:
    """A pod of one container `main`; a claim `volume` is mounted at /data, a ConfigMap at /files."""
    mounts, volumes = [], []
    if volume:
        mounts.append({"name": "data", "mountPath": "/data"})
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": volume}})
    if config_map:
        mounts.append({"name": "files", "mountPath": "/files"})
        volumes.append({"name": "files", "configMap": {"name": config_map}})
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "ports": list(ports),
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "restartPolicy": restart,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    metadata = {"name": name, "labels": {"app": name, **(labels or {})}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def policy(name: str, **spec: Any) -> dict[str, Any]:
    """A NetworkPolicy."""
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}
