"""What goes wrong on a node of our own, to the instant: processes that die without a word, packets that don't arrive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .kubectl import Kubectl
from .packets import SERVER
from .programs import run
from .scratch import ScratchCluster

TIMEOUT_SECONDS = 10.0
LISTEN_SECONDS = 5.0
UNUSED_UDP_PORT = 5399
PAUSE = "pause"
"""The process that holds a pod's network; without it the kubelet would make another pod."""


def processes(kubectl: Kubectl, namespace: str, pods: Sequence[str]) -> list[int]:
    """Process ids of these pods' containers. A pod that is deleted by force is told first and gets two seconds; these don't."""
    uids = [kubectl.get("pod", name, "-n", namespace)["metadata"]["uid"] for name in pods]
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            groups, name = (path / "cgroup").read_text(), (path / "comm").read_text().strip()
        except OSError:
            continue  # it has just ended
        if name != PAUSE and any(f"/pod{uid}/" in groups for uid in uids):
            found.append(int(path.name))
    return found


def crash(pids: Sequence[int]) -> None:
    """End processes at once, as the kernel does when memory is short; the kubelet starts their containers anew."""
    assert pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def held_back(node: ScratchCluster, *match: str) -> Iterator[None]:
    """While the block runs, drop packets between pods that match, in the words of iptables."""
    rule = ["FORWARD", *match, "-j", "DROP"]
    _node(node, "iptables", "-I", *rule)
    try:
        yield
    finally:
        _node(node, "iptables", "-D", *rule)


def dropped(node: ScratchCluster) -> int:
    """Packets that were held back by now."""
    lines = _node(node, "iptables", "-L", "FORWARD", "-v", "-n", "-x").splitlines()
    return sum(int(words[0]) for line in lines if len(words := line.split()) > 2 and words[2] == "DROP")


@contextlib.contextmanager
def listeners(node: ScratchCluster, addresses: Sequence[str], ports: Sequence[int]) -> Iterator[None]:
    """While the block runs, the node has these addresses besides its own, and a server on these ports of all of them."""
    for address in addresses:
        _node(node, "ip", "address", "replace", f"{address}/32", "dev", "lo")
    argv = [sys.executable, "-c", SERVER, str(UNUSED_UDP_PORT), *map(str, ports)]
    server = subprocess.Popen(node.node.enter_command(argv), stdout=subprocess.PIPE, text=True)
    try:
        began = time.monotonic()
        assert server.stdout and server.stdout.readline() == "listening\n", "the ports are taken"
        assert time.monotonic() - began < LISTEN_SECONDS
        yield
    finally:
        server.kill()
        server.wait(TIMEOUT_SECONDS)
        for address in addresses:
            _node(node, "ip", "address", "delete", f"{address}/32", "dev", "lo")


def _node(node: ScratchCluster, *words: str) -> str:
    return run(node.node.enter_command(list(words)), timeout=TIMEOUT_SECONDS)
