"""What goes wrong on a node of our own, to the instant: processes that die without a word, packets that don't arrive."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .kubectl import Kubectl
from .packets import SERVER
from .programs import run
from .scratch import ScratchCluster

TIMEOUT_SECONDS = 10.0
LISTEN_SECONDS = 5.0
PAUSE_SECONDS = 0.1
UNUSED_UDP_PORT = 5399
PAUSE = "pause"
"""The process that holds a pod's network; without it the kubelet would make another pod."""


def processes(kubectl: Kubectl, namespace: str, pods: Sequence[str]) -> list[int]:
    """Process ids of these pods' containers. A pod that is deleted by force is told first and gets two seconds; these don't."""
    uids = [kubectl.get("pod", name, "-n", namespace)["metadata"]["uid"] for name in pods]
    return [pid for pid, name in _of_pods(uids) if name != PAUSE]


def gone(uids: Sequence[str], timeout: float) -> None:
    """Wait until pods that were deleted have nothing on the node: no process, and so no network from which the kernel sends on."""
    deadline = time.monotonic() + timeout
    while left := list(_of_pods(uids)):
        assert time.monotonic() < deadline, f"still there after {timeout:.0f} s: {left}"
        time.sleep(PAUSE_SECONDS)


def _of_pods(uids: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Process ids and names."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            groups, name = (path / "cgroup").read_text(), (path / "comm").read_text().strip()
        except OSError:
            continue  # it has just ended
        if any(f"/pod{uid}/" in groups for uid in uids):
            yield int(path.name), name


def crash(pids: Sequence[int]) -> None:
    """End processes at once, as the kernel does when memory is short; the kubelet starts their containers anew."""
    assert pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class HeldBack:
    """A rule of the node's firewall that drops packets."""

    node: ScratchCluster
    rule: tuple[str, ...]

    @property
    def packets(self) -> int:
        """How many were dropped by now."""
        # `-nvxL` has no way to ask for one rule; ours is the first of its chain.
        words = _node(self.node, "iptables", "-v", "-n", "-x", "-L", self.rule[0], "1").split()
        return int(words[0])


@contextlib.contextmanager
def held_back(node: ScratchCluster, chain: str, *match: str) -> Iterator[HeldBack]:
    """While the block runs, drop packets that match, in the words of iptables.

    Between pods they pass the chain FORWARD, from pods to the API server INPUT. TCP sends them again, so that they arrive
    once the block is over, unless their sender has died.
    """
    held = HeldBack(node, (chain, *match, "-j", "DROP"))
    _node(node, "iptables", "-I", *held.rule)
    try:
        yield held
    finally:
        _node(node, "iptables", "-D", *held.rule)


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
