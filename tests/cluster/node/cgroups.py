"""The node's own cgroup in each hierarchy of cgroup v1: what is in it can be found, and ended, whole."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from ..errors import ClusterError

MOUNT = Path("/sys/fs/cgroup")
NAME = "oct-node"
HIERARCHIES = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd")
# The default of 1024 is what a single process outside gets: a node as slow as that tells nothing.
CPU_SHARES = 16384
# Containers whose shim is gone sometimes fork once more before they see the signal.
KILL_ROUNDS = 10
KILL_PAUSE_SECONDS = 0.1


def check() -> None:
    """ClusterError where this way of making a node cannot work."""
    if os.geteuid() != 0:
        raise ClusterError(
            "a node needs root: it makes namespaces, mounts and routes",
            "run as root, or use `--level apiserver`, CLUSTER=kind or CLUSTER=existing",
        )
    missing = [name for name in HIERARCHIES if not (MOUNT / name / "cgroup.procs").exists()]
    if missing:
        raise ClusterError(
            f"a scratch node needs cgroup v1; not mounted under {MOUNT}: {', '.join(missing)}",
            "use CLUSTER=kind (needs Docker) or CLUSTER=existing on this machine",
        )


def create() -> None:
    """Make the cgroups; a cpuset is usable only once it has processors and memory nodes."""
    for hierarchy in HIERARCHIES:
        (MOUNT / hierarchy / NAME / "root").mkdir(parents=True, exist_ok=True)
    (MOUNT / "cpu" / NAME / "cpu.shares").write_text(str(CPU_SHARES))
    for group in (MOUNT / "cpuset" / NAME, MOUNT / "cpuset" / NAME / "root"):
        for file in ("cpuset.cpus", "cpuset.mems"):
            if not (group / file).read_text().strip():
                (group / file).write_text((group.parent / file).read_text())


def join(pid: int) -> None:
    """Put a process into the node's root cgroup of each hierarchy; what it starts follows."""
    for hierarchy in HIERARCHIES:
        (MOUNT / hierarchy / NAME / "root" / "cgroup.procs").write_text(str(pid))


def members() -> list[int]:
    """Every process of the node: components, shims, containers."""
    return [
        int(pid)
        for file in (MOUNT / "pids" / NAME).rglob("cgroup.procs")
        for pid in file.read_text().split()
        if pid != "0"
    ]


def kill_all() -> None:
    """End whatever is left in the cgroup."""
    for _ in range(KILL_ROUNDS):
        left = members()
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        threading.Event().wait(KILL_PAUSE_SECONDS)


def remove() -> None:
    """Remove the cgroups, deepest first; those that still hold a process stay."""
    for hierarchy in HIERARCHIES:
        top = MOUNT / hierarchy / NAME
        if not top.exists():
            continue
        directories = sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
        for directory in [*directories, top]:
            try:
                directory.rmdir()
            except OSError:
                break
