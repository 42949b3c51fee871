"""kubelet's and kube-proxy's configuration and command lines. JSON, which is YAML."""

from __future__ import annotations

import json
from typing import Any

from ..certificates import Pki
from ..layout import DNS_SERVICE_IP, NODE_IP, NODE_NAME, POD_CIDR, Instance
from .namespaces import KUBELET_DIR

# More than a test starts, fewer than the pod network has addresses (a /24).
MAX_PODS = 250
# The kubelet raises its own limit to a million otherwise, which this machine's hard limit refuses.
MAX_OPEN_FILES = 20000
# How soon a running pod sees that its Secret has changed: six times as soon as with the default.
SYNC_PERIOD = "10s"


def kubelet_config(instance: Instance, pki: Pki) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "failSwapOn": False,
        "oomScoreAdj": 0,  # lowering it needs CAP_SYS_RESOURCE
        "maxOpenFiles": MAX_OPEN_FILES,
        "syncFrequency": SYNC_PERIOD,
        "containerRuntimeEndpoint": f"unix://{instance.containerd_socket}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.crt("ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.crt("kubelet")),
        "tlsPrivateKeyFile": str(pki.key("kubelet")),
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(instance.etc / "resolv.conf"),
        "podLogsDir": str(instance.log / "pods"),
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,  # never: our images come from no registry and could not come back
        "maxPods": MAX_PODS,
        "address": NODE_IP,
        "healthzPort": 10248,
    }


def proxy_config(pki: Pki) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": str(pki.client_kubeconfig("proxy"))},
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0},  # the limit is the host's and not the node's to set
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def write(instance: Instance, pki: Pki) -> None:
    (instance.etc / "kubelet.yaml").write_text(json.dumps(kubelet_config(instance, pki), indent=1))
    (instance.etc / "proxy.yaml").write_text(json.dumps(proxy_config(pki), indent=1))
    (instance.etc / "resolv.conf").touch()  # pods ask the cluster's DNS and nobody else


def kubelet_command(instance: Instance, pki: Pki) -> list[str]:
    return [
        str(instance.layout.program("kubelet")),
        f"--config={instance.etc / 'kubelet.yaml'}",
        f"--kubeconfig={pki.client_kubeconfig('kubelet')}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={KUBELET_DIR}",
        f"--cert-dir={instance.run / 'kubelet'}",
    ]


def proxy_command(instance: Instance) -> list[str]:
    return [str(instance.layout.program("kube-proxy")), f"--config={instance.etc / 'proxy.yaml'}"]
