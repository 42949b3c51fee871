"""VolumeSnapshots: their CRDs, the class, and the two programs that turn them into calls of the CSI driver."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from ..gotools import GoTools, go_mod
from ..kubectl import Kubectl
from ..layout import SNAPSHOT_CLASS, Instance, Layout
from ..progress import Progress
from .setup import DRIVER, SOCKET

GROUP = "snapshot.storage.k8s.io"
PLURALS = ("volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots")
# Groups of snapshots are on by default and want CRDs and calls of the driver of their own; nobody here takes any.
NO_GROUPS = "--feature-gates=CSIVolumeGroupSnapshot=false"


def ensure_crds(layout: Layout, tools: GoTools, progress: Progress) -> list[Path]:
    """Have the CRDs of the pinned version; they come with the Go module of the clients, not with the programs."""
    directory = layout.snapshot_crds
    files = [directory / f"{GROUP}_{plural}.yaml" for plural in PLURALS]
    stamp = directory / "built-from"
    digest = hashlib.sha256(go_mod("snapshotter").read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        with progress.step("CRDs of VolumeSnapshots"):
            module = tools.module_dir("snapshotter", "github.com/kubernetes-csi/external-snapshotter/client/v8")
            directory.mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copyfile(module / "config" / "crd" / file.name, file)
        stamp.write_text(digest)
    return files


def apply_crds(kubectl: Kubectl, files: list[Path]) -> None:
    """Have them served; returns when objects of these kinds can be made."""
    # On the server, so that their 100 kB are not written into an annotation as well.
    kubectl("apply", "--server-side", "--force-conflicts", *(word for file in files for word in ("-f", str(file))))
    kubectl.wait("condition=Established", *(f"crd/{plural}.{GROUP}" for plural in PLURALS))


def delete_crds(kubectl: Kubectl) -> None:
    """Have the API server as it is without snapshots."""
    kubectl("delete", "crd", "--ignore-not-found", *(f"{plural}.{GROUP}" for plural in PLURALS))


def controller_command(instance: Instance) -> list[str]:
    """One a cluster: makes a VolumeSnapshotContent for each VolumeSnapshot."""
    return [str(instance.layout.program("snapshot-controller")), f"--kubeconfig={instance.kubeconfig}", NO_GROUPS]


def sidecar_command(instance: Instance) -> list[str]:
    """One a driver: has the contents cut."""
    return [
        str(instance.layout.program("csi-snapshotter")),
        f"--csi-address={SOCKET}",
        f"--kubeconfig={instance.kubeconfig}",
        "--extra-create-metadata",
        NO_GROUPS,
    ]


def objects() -> list[dict[str, Any]]:
    """The class of our driver, the default of the cluster."""
    default = {"snapshot.storage.kubernetes.io/is-default-class": "true"}
    return [
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": {"name": SNAPSHOT_CLASS, "annotations": default},
            "driver": DRIVER,
            "deletionPolicy": "Delete",
        }
    ]
