"""containerd's and CNI's configuration for the node."""

from __future__ import annotations

import json

from ..errors import ClusterError
from ..layout import PAUSE_IMAGE, POD_CIDR, Instance
from ..programs import run

CTR_SECONDS = 120.0
# Kubernetes' images live in this namespace of containerd's.
NAMESPACE = "k8s.io"


def config(instance: Instance) -> str:
    """config.toml. Left out is what this kind of machine lacks: AppArmor, hugetlb, CAP_SYS_RESOURCE, systemd."""
    return f"""\
version = 3
root = "{instance.data / "containerd"}"
state = "{instance.run / "containerd"}"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "{instance.containerd_socket}"
[ttrpc]
  address = "{instance.containerd_socket}.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
  disable_apparmor = true
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{instance.layout.cni_bin}"]
    conf_dir = "{instance.etc / "cni"}"
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = "{instance.layout.program("runc")}"
        SystemdCgroup = false
"""


def cni_config(instance: Instance) -> str:
    """Pods hang on one bridge, with addresses from a file of leases."""
    leases = str(instance.run / "leases")
    ranges = [[{"subnet": POD_CIDR}]]
    ipam = {"type": "host-local", "dataDir": leases, "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return json.dumps({"cniVersion": "1.0.0", "name": "node", "plugins": [bridge, ports]}, indent=1)


def write(instance: Instance) -> None:
    (instance.etc / "cni").mkdir(parents=True, exist_ok=True)
    (instance.etc / "containerd.toml").write_text(config(instance))
    (instance.etc / "cni" / "10-node.conflist").write_text(cni_config(instance))


def command(instance: Instance) -> list[str]:
    program = str(instance.layout.program("containerd"))
    return [program, "--config", str(instance.etc / "containerd.toml"), "--log-level", "warn"]


def environment(instance: Instance) -> dict[str, str]:
    """containerd looks for its shim, and CNI's plugins for iptables, on PATH."""
    tools = [str(instance.layout.bin), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    return {"PATH": ":".join(tools)}


def ctr(instance: Instance, *words: str) -> str:
    """Run containerd's own client; it needs no namespace, the socket is enough."""
    program = str(instance.layout.program("ctr"))
    return run([program, "-a", str(instance.containerd_socket), "-n", NAMESPACE, *words], timeout=CTR_SECONDS)


def serves(instance: Instance) -> bool:
    """Whether containerd answers."""
    if not instance.containerd_socket.exists():
        return False
    try:
        ctr(instance, "version")
    except ClusterError:
        return False
    return True
