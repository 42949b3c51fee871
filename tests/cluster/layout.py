"""Where everything lies, and which addresses the node uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent
TOOLS_DIR = PACKAGE_DIR / "tools"

# The node's world. Fixed, because routes of the host point into it: there is one node a machine.
HOST_IP = "10.201.0.1"
NODE_IP = "10.201.0.2"
LINK_PREFIX = 30
POD_CIDR = "10.88.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
NODE_NAME = "node-1"
HOST_LINK = "oct0"
API_PORT = 6443
PAUSE_IMAGE = "localhost/pause:1"
STORAGE_CLASS = "clone"
LATE_STORAGE_CLASS = f"{STORAGE_CLASS}-late"
SNAPSHOT_CLASS = STORAGE_CLASS


class Level(StrEnum):
    """How much of a cluster: the API alone, or a node that runs pods as well."""

    APISERVER = "apiserver"
    NODE = "node"


@dataclass(frozen=True)
class Layout:
    """The cache directory: programs, images and package data that all instances share."""

    root: Path

    @classmethod
    def default(cls) -> Layout:
        """CLUSTER_ROOT, else `openclaw-tenancy/cluster` in the user's cache directory."""
        if root := os.environ.get("CLUSTER_ROOT"):
            return cls(Path(root).resolve())
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(cache) / "openclaw-tenancy" / "cluster")

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def cni_bin(self) -> Path:
        return self.root / "cni"

    @property
    def csi(self) -> Path:
        """The CSI driver's own Python environment and generated messages."""
        return self.root / "csi"

    @property
    def snapshot_crds(self) -> Path:
        """The CRDs of VolumeSnapshots, as snapshot-controller comes with them."""
        return self.root / "snapshot-crds"

    @property
    def instances(self) -> Path:
        return self.root / "instances"

    def program(self, name: str) -> Path:
        return self.bin / name

    def instance(self, name: str) -> Instance:
        return Instance(self, name, self.instances / name)


@dataclass(frozen=True)
class Instance:
    """One cluster's own files: keys, data, logs, and what runs."""

    layout: Layout
    name: str
    dir: Path

    @property
    def run(self) -> Path:
        return self.dir / "run"

    @property
    def log(self) -> Path:
        return self.dir / "log"

    @property
    def pki(self) -> Path:
        return self.dir / "pki"

    @property
    def etc(self) -> Path:
        return self.dir / "etc"

    @property
    def data(self) -> Path:
        """What the next start continues with: etcd, images in containerd, volumes."""
        return self.dir / "data"

    @property
    def kubeconfig(self) -> Path:
        return self.dir / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    def make_directories(self) -> None:
        for path in (self.run, self.log, self.pki, self.etc, self.data):
            path.mkdir(parents=True, exist_ok=True)
