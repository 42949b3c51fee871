"""Prepares the CSI driver: its Python, the messages of its protocols, a reflink file system, its objects in the API."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from ..gotools import GoTools
from ..layout import LATE_STORAGE_CLASS, NODE_NAME, PACKAGE_DIR, STORAGE_CLASS, TOOLS_DIR, Instance, Layout
from ..node.namespaces import KUBELET_DIR, enter_command
from ..programs import need, run
from ..progress import Progress

DRIVER_FILE = Path(__file__).with_name("driver.py")
CALLS_FILE = Path(__file__).with_name("calls.py")
DRIVER = "clone.csi.test"
REQUIREMENTS = TOOLS_DIR / "python" / "requirements.txt"
SOCKET = KUBELET_DIR / "plugins" / DRIVER / "csi.sock"
# Sparse: it takes what the volumes hold.
VOLUMES_SIZE_BYTES = 20 << 30
INSTALL_SECONDS = 300.0
TIMEOUT_SECONDS = 60.0


def python(layout: Layout) -> Path:
    return layout.csi / "venv" / "bin" / "python"


def messages(layout: Layout) -> Path:
    """Where the generated modules csi_pb2 and registration_pb2 lie."""
    return layout.csi / "messages"


def ensure_driver(layout: Layout, tools: GoTools, progress: Progress) -> None:
    """Make the driver's environment, once for each version of its requirements."""
    stamp = layout.csi / "built-from"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    with progress.step("CSI driver: its Python and its protocols"):
        shutil.rmtree(layout.csi, ignore_errors=True)
        messages(layout).mkdir(parents=True)
        run([sys.executable, "-m", "venv", layout.csi / "venv"], timeout=INSTALL_SECONDS)
        pip: list[str | Path] = [python(layout), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run([*pip, "--requirement", REQUIREMENTS], timeout=INSTALL_SECONDS, hint="the Python registry is needed once")
        # The protocols come with the Go modules that speak them.
        csi = tools.module_dir("csi-provisioner", "github.com/container-storage-interface/spec") / "csi.proto"
        kubelet = tools.module_dir("kubernetes", "k8s.io/kubelet")
        shutil.copyfile(csi, messages(layout) / "csi.proto")
        shutil.copyfile(kubelet / "pkg/apis/pluginregistration/v1/api.proto", messages(layout) / "registration.proto")
        protoc: list[str | Path] = [python(layout), "-m", "grpc_tools.protoc", "-I.", "--python_out=."]
        run([*protoc, "csi.proto", "registration.proto"], timeout=TIMEOUT_SECONDS, cwd=messages(layout))
    stamp.write_text(digest)


def volumes(instance: Instance) -> Path:
    return instance.data / "volumes"


def ensure_file_system(instance: Instance, holder: int) -> None:
    """Make the file system once, and mount it in the node; the mount goes with the node's namespace."""
    image = instance.data / "volumes.img"
    if not image.exists():
        fresh = image.with_suffix(".new")
        with fresh.open("wb") as file:
            file.truncate(VOLUMES_SIZE_BYTES)
        mkfs = need("mkfs.xfs", "install Debian's package xfsprogs")
        run([mkfs, "-q", "-f", "-m", "reflink=1", fresh], timeout=TIMEOUT_SECONDS)
        fresh.replace(image)
    target = volumes(instance)
    target.mkdir(exist_ok=True)
    script = 'mountpoint -q "$2" || mount -o loop "$1" "$2"'
    run(enter_command(holder, ["sh", "-c", script, "mount", image, target]), timeout=TIMEOUT_SECONDS)


def driver_command(instance: Instance) -> list[str]:
    return [str(python(instance.layout)), str(DRIVER_FILE), str(volumes(instance)), str(KUBELET_DIR), NODE_NAME]


def calls_command(layout: Layout) -> list[str]:
    """The command line that calls the driver; to be run in the node, with the driver's environment."""
    return [str(python(layout)), str(CALLS_FILE), str(SOCKET)]


def driver_environment(instance: Instance) -> dict[str, str]:
    # The generated messages, and this package, of which it uses what needs nothing else.
    return {"PYTHONPATH": os.pathsep.join([str(messages(instance.layout)), str(PACKAGE_DIR.parent)])}


def provisioner_command(instance: Instance) -> list[str]:
    return [
        str(instance.layout.program("csi-provisioner")),
        f"--csi-address={SOCKET}",
        f"--kubeconfig={instance.kubeconfig}",
        "--feature-gates=Topology=true",
        "--extra-create-metadata",
    ]


def objects() -> list[dict[str, Any]]:
    """The driver and its StorageClass, the default of the cluster."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSIDriver",
            "metadata": {"name": DRIVER},
            "spec": {"attachRequired": False, "podInfoOnMount": False, "fsGroupPolicy": "File"},
        },
        *(storage_class(name, mode, default if name == STORAGE_CLASS else {}) for name, mode in CLASSES.items()),
    ]


# The second is for tests of claims that are bound only once a pod wants them.
CLASSES = {STORAGE_CLASS: "Immediate", LATE_STORAGE_CLASS: "WaitForFirstConsumer"}


def storage_class(name: str, mode: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": DRIVER,
        "volumeBindingMode": mode,
    }
