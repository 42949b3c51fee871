"""The command lines of etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from .certificates import Pki
from .layout import API_PORT, NODE_IP, SERVICE_CIDR, Instance


@dataclass(frozen=True)
class Endpoints:
    """Where the control plane listens."""

    api_host: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int

    @property
    def server(self) -> str:
        return f"https://{self.api_host}:{self.api_port}"

    @property
    def etcd(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"


# In the node's own network every port is free.
NODE_ENDPOINTS = Endpoints(NODE_IP, API_PORT, 2379, 2380)


def free_endpoints() -> Endpoints:
    """Loopback ports that nobody listened on a moment ago; all are held until all are known."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return Endpoints("127.0.0.1", *ports)


def etcd(instance: Instance, at: Endpoints) -> list[str]:
    peer = f"http://127.0.0.1:{at.etcd_peer_port}"
    return [
        str(instance.layout.program("etcd")),
        "--name=default",
        f"--data-dir={instance.data / 'etcd'}",
        f"--listen-client-urls={at.etcd}",
        f"--advertise-client-urls={at.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # a test's data may be lost with the machine
        "--log-level=warn",
    ]


def apiserver(instance: Instance, pki: Pki, at: Endpoints, service_account_admission: bool) -> list[str]:
    """`service_account_admission`: off where no controller makes the accounts that pods need."""
    disabled = [] if service_account_admission else ["--disable-admission-plugins=ServiceAccount"]
    return [
        str(instance.layout.program("kube-apiserver")),
        f"--etcd-servers={at.etcd}",
        f"--bind-address={at.api_host}",
        f"--advertise-address={NODE_IP}",  # of the node even on loopback: a loopback address is refused here
        f"--secure-port={at.api_port}",
        f"--cert-dir={instance.run / 'apiserver'}",
        f"--tls-cert-file={pki.crt('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        f"--client-ca-file={pki.crt('ca')}",
        f"--kubelet-client-certificate={pki.crt('apiserver-kubelet')}",
        f"--kubelet-client-key={pki.key('apiserver-kubelet')}",
        f"--kubelet-certificate-authority={pki.crt('ca')}",
        "--kubelet-preferred-address-types=InternalIP",  # else exec and logs look the node's name up
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki.key('service-accounts')}",
        f"--service-account-signing-key-file={pki.key('service-accounts')}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        *disabled,
        "--allow-privileged=true",
    ]


def controller_manager(instance: Instance, pki: Pki) -> list[str]:
    config = pki.client_kubeconfig("controller-manager")
    return [
        str(instance.layout.program("kube-controller-manager")),
        *_kubeconfigs(config.as_posix()),
        f"--service-account-private-key-file={pki.key('service-accounts')}",
        f"--root-ca-file={pki.crt('ca')}",
        "--use-service-account-credentials",
        f"--cluster-signing-cert-file={pki.crt('ca')}",
        f"--cluster-signing-key-file={pki.key('ca')}",
        f"--cert-dir={instance.run / 'controller-manager'}",
        *_alone(),
    ]


def scheduler(instance: Instance, pki: Pki) -> list[str]:
    config = pki.client_kubeconfig("scheduler")
    return [str(instance.layout.program("kube-scheduler")), *_kubeconfigs(config.as_posix()), *_alone()]


def _kubeconfigs(path: str) -> list[str]:
    return [f"--{purpose}kubeconfig={path}" for purpose in ("", "authentication-", "authorization-")]


def _alone() -> list[str]:
    """Each runs once: no leader to elect, and its own port is of no interest."""
    return ["--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0"]
