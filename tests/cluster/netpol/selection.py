"""Which pods the selectors of a NetworkPolicy mean."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

# Objects are as the API gives them.
Object = Mapping[str, Any]
Labels = Mapping[str, str]


class Pod(NamedTuple):
    """A running pod with an address of its own; `ports`: (name, protocol) to number."""

    ip: ipaddress.IPv4Address
    namespace: str
    labels: Labels
    ports: Mapping[tuple[str, str], int]


def matches(selector: Object, labels: Labels) -> bool:
    """Whether a LabelSelector selects these labels; an empty one selects everything. ValueError: unknown operator."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or []:
        key, operator, values = term["key"], term["operator"], term.get("values") or []
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            raise ValueError(f"unknown operator {operator!r}")
        found = key in labels and (operator in ("Exists", "DoesNotExist") or labels[key] in values)
        if found != (operator in ("In", "Exists")):
            return False
    return True


def policy_types(spec: Object) -> Sequence[str]:
    """`policyTypes`, or what the API says it stands for when it is left out."""
    return spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def known_pods(objects: Iterable[Object]) -> dict[ipaddress.IPv4Address, Pod]:
    """The running pods by address; of two that claim one address the younger holds it."""

    def age(pod: Object) -> tuple[str, str]:
        return pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]

    pods: dict[ipaddress.IPv4Address, Pod] = {}
    for pod in sorted(objects, key=age):
        meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
        if spec.get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
            continue
        for entry in status.get("podIPs") or []:
            ip = ipaddress.ip_address(entry["ip"])
            if isinstance(ip, ipaddress.IPv4Address):
                pods[ip] = Pod(ip, meta["namespace"], meta.get("labels") or {}, _named_ports(spec))
    return dict(sorted(pods.items()))


def _named_ports(spec: Object) -> dict[tuple[str, str], int]:
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    ports: dict[tuple[str, str], int] = {}
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or []:
            if port.get("name"):
                ports.setdefault((port["name"], port.get("protocol") or "TCP"), port["containerPort"])
    return ports


class Selection:
    """The pods and namespaces of one moment, to select from."""

    def __init__(self, pods: Iterable[Object], namespaces: Iterable[Object]) -> None:
        self.pods = known_pods(pods)
        self._labels_of = {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in namespaces}
        self._by_selector: dict[str, list[str]] = {}
        self._pods_in: dict[str, list[Pod]] = {}
        for pod in self.pods.values():
            self._pods_in.setdefault(pod.namespace, []).append(pod)

    def select(self, namespaces: Iterable[str], pod_selector: Object) -> list[Pod]:
        return [pod for name in namespaces for pod in self._pods_in.get(name, []) if matches(pod_selector, pod.labels)]

    def select_peer(self, peer: Object, namespace: str) -> list[Pod]:
        """The pods that a peer without an ipBlock stands for, in a policy of this namespace."""
        selector = peer.get("namespaceSelector")
        if selector is not None:
            return self.select(self._namespaces(selector), peer.get("podSelector") or {})
        return [] if peer.get("podSelector") is None else self.select([namespace], peer["podSelector"])

    def _namespaces(self, selector: Object) -> list[str]:
        key = json.dumps(selector, sort_keys=True)
        if key not in self._by_selector:
            chosen = [name for name, labels in self._labels_of.items() if matches(selector, labels)]
            self._by_selector[key] = chosen
        return self._by_selector[key]
