"""The node's own mount, network and cgroup namespace: a process that holds them, and the way in.

The host's mounts, routes and firewall stay as they are, but for one veth pair (see `network.py`).
Run as a program (`python -m cluster.node.namespaces KUBELET_DIR READY_FILE`) it is the holder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..layout import Instance
from . import cgroups

KUBELET_DIR = Path("/var/lib/kubelet")
SETUP_SECONDS = 10.0
# How this package's own programs are started, with its folder's parent on PYTHONPATH.
OWN_PROGRAM = [sys.executable, "-m"]


def ready_file(instance: Instance) -> Path:
    return instance.run / "namespaces.ready"


def kubelet_data(instance: Instance) -> Path:
    """What the node sees as /var/lib/kubelet."""
    return instance.data / "kubelet"


def holder_command(instance: Instance) -> list[str]:
    """Joins the cgroups while they are visible, then leaves the host's namespaces."""
    inside = ["--holder", str(kubelet_data(instance)), str(ready_file(instance))]
    return [*OWN_PROGRAM, "cluster.node.namespaces", *inside]


def enter_command(holder: int, argv: Sequence[str | Path]) -> list[str]:
    """The command line that runs `argv` inside the holder's namespaces."""
    return ["nsenter", "-t", str(holder), "-m", "-n", "-C", "--", *(str(word) for word in argv)]


# Into the node's cgroup first: the host's hierarchy is out of sight from inside.
_JOIN = 'for c in {hierarchies}; do echo $$ > {mount}/$c/{name}/root/cgroup.procs || exit 70; done; exec "$@"'


def service_command(holder: int, argv: Sequence[str | Path]) -> list[str]:
    """Like `enter_command`, for what runs on: it belongs to the node's cgroup, so that `down` finds it and its children."""
    script = _JOIN.format(hierarchies=" ".join(cgroups.HIERARCHIES), mount=cgroups.MOUNT, name=cgroups.NAME)
    return ["sh", "-c", script, "join", *enter_command(holder, argv)]


def _inside(kubelet_dir: Path, ready: Path) -> None:
    """Set the new namespaces up, say so, and hold them."""
    _mount("-t", "tmpfs", "cgroup", str(cgroups.MOUNT))
    for hierarchy in cgroups.HIERARCHIES:
        target = cgroups.MOUNT / hierarchy
        target.mkdir()
        _mount(
            "-t", "cgroup", "-o", "none,name=systemd" if hierarchy == "systemd" else hierarchy, "cgroup", str(target)
        )
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=SETUP_SECONDS)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    _mount("--make-rshared", "/")
    KUBELET_DIR.mkdir(parents=True, exist_ok=True)
    kubelet_dir.mkdir(parents=True, exist_ok=True)
    _mount("--bind", str(kubelet_dir), str(KUBELET_DIR))
    ready.write_text("ready")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, timeout=SETUP_SECONDS)


def main(words: list[str]) -> None:
    if words[0] == "--holder":
        cgroups.join(0)  # 0 is the writer
        unshare = ["unshare", "--cgroup", "--mount", "--net", "--propagation", "private"]
        inside = [*OWN_PROGRAM, "cluster.node.namespaces", "--inside", *words[1:]]
        # exec, so that the process that was started is the one that holds the namespaces.
        os.execvp(unshare[0], [*unshare, *inside])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    _inside(Path(words[1]), Path(words[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
