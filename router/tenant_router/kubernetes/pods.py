"""The gateways' pods as they come, by tenant, and how those that are gone ended. Pure, no I/O."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from tenant_api.kubernetes_names import GATEWAY, GATEWAY_PORT, TENANT_LABEL

from ..fleet import GatewayAddress
from .objects import Pod
from .trouble import Trouble, pod_trouble

MAX_ENDED = 2000
"""Pods whose end is remembered: far more than wakes and connections that may still ask about one."""


@dataclass(slots=True, eq=False)
class GatewayPod:
    """One pod of a tenant: one incarnation of its gateway."""

    key: str
    name: str
    uid: str
    created: str
    seen: float
    """time.monotonic() when we heard of it first."""
    node: str = ""
    ip: str = ""
    port: int = GATEWAY_PORT
    phase: str = ""
    ready: bool = False
    """The kubelet's word. Ours comes sooner: `greeted`."""
    deleting: bool = False
    trouble: Trouble | None = None
    troubled: float = 0.0
    """time.monotonic() since when `trouble` is the same kind."""
    greeted: bool = False
    """It has said hello to this router."""
    address: GatewayAddress | None = field(default=None, repr=False)
    """Made on first use."""

    @property
    def lives(self) -> bool:
        """Whether it serves, or may serve yet."""
        return not self.deleting and self.phase not in ("Failed", "Succeeded")


class Pods:
    """All gateway pods of the served namespaces."""

    def __init__(self) -> None:
        self._pods: dict[str, GatewayPod] = {}
        """By UID."""
        self._of: dict[str, dict[str, GatewayPod]] = {}
        """By tenant, then by UID."""
        self._ended: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pods)

    def put(self, pod: Pod, now: float) -> GatewayPod | None:
        """Take in a pod that is new or changed; None: it is no gateway's."""
        meta, status = pod.metadata, pod.status
        tenant = (meta.labels or {}).get(TENANT_LABEL)
        if not tenant or not meta.uid:
            return None
        found = self._pods.get(meta.uid)
        if found is None:
            key = f"{meta.namespace}/{tenant}"
            found = GatewayPod(key, meta.name, meta.uid, meta.creation_timestamp or "", now)
            found.port = _port(pod)
            self._pods[meta.uid] = found
            self._of.setdefault(key, {})[meta.uid] = found
        if status.pod_ip != found.ip:
            found.ip, found.address = status.pod_ip, None
        found.node = pod.spec.node_name
        found.phase = status.phase
        found.deleting = meta.deletion_timestamp is not None
        found.ready = any(one.type == "Ready" and one.status == "True" for one in status.conditions or ())
        trouble = pod_trouble(pod)
        if trouble is not None and (found.trouble is None or found.trouble.cause != trouble.cause):
            found.troubled = now
        found.trouble = trouble
        return found

    def remove(self, uid: str, why: str) -> GatewayPod | None:
        """Forget a pod that is gone."""
        found = self._pods.pop(uid, None)
        if found is None:
            return None
        found.deleting = True
        if found.trouble is not None:
            why = f"{why}; before that {found.trouble.text}"
        self._ended[uid] = why
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        siblings = self._of[found.key]
        del siblings[uid]
        if not siblings:
            del self._of[found.key]
        return found

    def current(self, key: str) -> GatewayPod | None:
        """Return the tenant's newest pod that serves or may serve yet."""
        alive = [pod for pod in self._of.get(key, {}).values() if pod.lives]
        return max(alive, key=lambda pod: (pod.created, pod.seen), default=None)

    def of(self, key: str) -> list[GatewayPod]:
        """Return all pods of a tenant, also those that are ending."""
        return list(self._of.get(key, {}).values())

    def get(self, uid: str) -> GatewayPod | None:
        """Return a pod by its UID."""
        return self._pods.get(uid)

    def end_of(self, uid: str) -> str | None:
        """Return how a pod that is gone ended, if that is remembered."""
        return self._ended.get(uid)

    def in_namespace(self, namespace: str) -> list[GatewayPod]:
        """Return the pods of a namespace."""
        return [pod for pod in self._pods.values() if pod.key.startswith(f"{namespace}/")]


def _port(pod: Pod) -> int:
    for container in pod.spec.containers or ():
        for port in container.ports or ():
            if container.name == GATEWAY and port.name == GATEWAY:
                return port.container_port
    return GATEWAY_PORT
