"""Follows the API and keeps the node's nftables table as the NetworkPolicies say.

`python -m cluster.netpol.enforcer KUBECONFIG`, in the node's network namespace. Its rules stay in force when it ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from ..api import Api
from .ruleset import ruleset
from .selection import Object

KINDS = ("/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies")
# From one replacement of the table to the next, at least.
PAUSE_SECONDS = 0.05
RETRY_SECONDS = 1.0
NFT_SECONDS = 10.0
BRIDGE_SWITCH = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")

Key = tuple[str, str]


def log(*words: object) -> None:
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def load(script: str) -> None:
    """Hand a script to nft; it is taken whole or not at all."""
    done = subprocess.run(
        ["nft", "-f", "-"], input=script, text=True, capture_output=True, timeout=NFT_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"nft: {done.stderr.strip()[:2000]}")


class Mirror:
    """A copy of all objects of one kind, which a thread keeps up to date by list and watch."""

    def __init__(self, api: Api, path: str, changed: threading.Event) -> None:
        self._api = api
        self._path = path
        self._changed = changed
        # Replaced as a whole at each change, so that who reads meanwhile sees no half; None until the first list.
        self.objects: Mapping[Key, Object] | None = None
        # A daemon: there is nothing to finish when the program ends.
        threading.Thread(target=self._run, name=path, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._follow()
            except Exception as error:
                log(f"{self._path}: {error!r}; listing again")
                threading.Event().wait(RETRY_SECONDS)

    def _follow(self) -> None:
        listing = self._api.get(self._path)
        self._replace({_key(item): item for item in listing["items"]})
        for event in self._api.watch(self._path, listing["metadata"]["resourceVersion"]):
            if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
                raise RuntimeError(f"watch: {event}")
            objects = {**(self.objects or {}), _key(event["object"]): event["object"]}
            if event["type"] == "DELETED":
                del objects[_key(event["object"])]
            self._replace(objects)

    def _replace(self, objects: Mapping[Key, Object]) -> None:
        self.objects = objects
        self._changed.set()


def _key(item: Object) -> Key:
    return item["metadata"].get("namespace") or "", item["metadata"]["name"]


def enforce(api: Api, changed: threading.Event, stopping: threading.Event) -> None:
    """Until `stopping`: whenever something changed and the outcome differs, replace the table."""
    mirrors = [Mirror(api, path, changed) for path in KINDS]
    in_force = None
    while changed.wait() and not stopping.is_set():
        changed.clear()
        copies = [mirror.objects for mirror in mirrors]
        if any(copy is None for copy in copies):
            continue
        pods, namespaces, policies = (list((copy or {}).values()) for copy in copies)
        try:
            began = time.perf_counter()
            script = ruleset(pods, namespaces, policies)
            if script != in_force:
                load(script)
                in_force = script
                milliseconds = (time.perf_counter() - began) * 1e3
                log(f"in force: {len(policies)} policies, {len(pods)} pods; {milliseconds:.1f} ms")
        except Exception as error:  # whatever it is, the rules in force stay, and it is tried again
            log(f"not in force: {error!r}")
            changed.set()
            stopping.wait(RETRY_SECONDS)
        stopping.wait(PAUSE_SECONDS)


def main(kubeconfig: Path) -> None:
    if BRIDGE_SWITCH.read_text().strip() != "1":
        sys.exit(f"{BRIDGE_SWITCH} is not 1: packets between pods would pass unseen")
    changed, stopping = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        changed.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    enforce(Api(kubeconfig), changed, stopping)
    log("stopped; the rules stay in force")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
