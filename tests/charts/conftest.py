"""helm against the API server, and namespaces for one release and its tenants."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charts.rendering import CHART, Helm, Rendered, render
from cluster.fixtures import Cluster
from cluster.gotools import GoTools
from cluster.layout import Layout
from cluster.programs import run
from cluster.progress import Progress

EVERYTHING = """
tenants: {namespaces: [TENANTS], egress: ["10.0.0.1/32:80"], imagePullSecrets: [{name: registry}, {name: other}]}
operator: {priorityClassName: system-cluster-critical}
router:
  autoscaling: {enabled: true}
  trustedProxies: [10.0.0.0/8]
  networks: [10.88.0.0/24]
  nodeSelector: {a: b}
  tolerations: [{operator: Exists}]
  podAnnotations: {x: "y"}
  controlUi: false
  service: {type: LoadBalancer, externalTrafficPolicy: Local}
ingress: {enabled: true, className: nginx, hosts: [oc.example.com], tlsSecret: tls}
httpRoute: {enabled: true, parentRefs: [{name: public}], hostnames: [oc.example.com]}
networkPolicy:
  metricsFrom: {kubernetes.io/metadata.name: monitoring}
  dnsPorts: [53, 5353]
  dnsAddresses: [169.254.20.10/32, "fd00::10/128"]
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, runbookUrl: "https://wiki.example.com/operate#alerts"}
"""


@pytest.fixture(scope="session")
def helm(api_server: Cluster) -> Helm:
    """Runs helm against the API server."""
    layout = Layout.default()
    GoTools(layout, Progress()).ensure(("helm",))

    def call(*words: str) -> str:
        return run([str(layout.program("helm")), *words], timeout=60, env={"KUBECONFIG": str(api_server.kubeconfig)})

    return call


@pytest.fixture
def names(api_server: Cluster) -> Iterator[tuple[str, str]]:
    """Namespace of the release and of its tenants; the second is not there yet."""
    word = secrets.token_hex(4)
    system, tenants = f"s-{word}", f"t-{word}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api_server.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": system, "labels": labels}})
    yield system, tenants
    api_server.kubectl("delete", "namespace", system, tenants, "--wait=false", "--ignore-not-found")


@pytest.fixture
def everything(tmp_path: Path, names: tuple[str, str]) -> Path:
    """Values that turn everything on."""
    file = tmp_path / "everything.yaml"
    file.write_text(EVERYTHING.replace("TENANTS", names[1]))
    return file


@pytest.fixture
def rendered(helm: Helm) -> Rendered:
    """Renders the chart as release `rel` in the namespace `system`."""
    return lambda *words: render(helm, "system", *words)


@pytest.fixture
def install(helm: Helm, names: tuple[str, str]) -> Callable[..., None]:
    """Installs the chart as release `rel`. The kinds may be there already, from another test."""

    def call(*words: str) -> None:
        system, tenants = names
        namespaces = f"tenants.namespaces={{{tenants}}}"
        helm("install", "rel", str(CHART), "-n", system, "--set", namespaces, "--take-ownership", *words)

    return call
