"""The cluster's DNS: CoreDNS as a pod, so that policies can select it, with the names of Services and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

from .images.store import DNS_IMAGE
from .layout import DNS_SERVICE_IP

NAMESPACE = "kube-system"
LABELS = {"k8s-app": "kube-dns"}  # the label by which policies everywhere know the DNS
# lameduck: goes on answering for a moment after SIGTERM, while Services still point at it.
COREFILE = """\
.:53 {
    errors
    health {
        lameduck 2s
    }
    ready
    kubernetes cluster.local in-addr.arpa {
        pods insecure
    }
    cache 10
}
"""


def objects() -> list[dict[str, Any]]:
    """Everything CoreDNS needs, for one apply."""
    name = {"name": "coredns", "namespace": NAMESPACE}
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "coredns"}
    subject = {"kind": "ServiceAccount", **name}
    ports = [{"name": f"dns-{protocol.lower()}", "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {"Corefile": COREFILE}},
        _rbac("ClusterRole", rules=rules),
        _rbac("ClusterRoleBinding", roleRef=role, subjects=[subject]),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": NAMESPACE},
            "spec": {"clusterIP": DNS_SERVICE_IP, "selector": LABELS, "ports": ports},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": _deployment()},
    ]


def _rbac(kind: str, **fields: object) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "coredns"}, **fields}


def _deployment() -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": DNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 3,
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    digest = hashlib.sha256(COREFILE.encode()).hexdigest()  # another file, another pod
    return {
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS, "annotations": {"corefile": digest}}, "spec": pod},
    }
