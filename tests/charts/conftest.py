"""helm against the API server, and namespaces for one release and its tenants."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.fixtures import Cluster
from cluster.gotools import GoTools
from cluster.layout import Layout
from cluster.programs import run
from cluster.progress import Progress

Helm = Callable[..., str]
CHART = Path(__file__).parents[2] / "charts" / "openclaw-tenancy"


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
def install(helm: Helm, names: tuple[str, str]) -> Callable[..., None]:
    """Installs the chart as release `rel`. The kinds may be there already, from another test."""

    def call(*words: str) -> None:
        system, tenants = names
        namespaces = f"tenants.namespaces={{{tenants}}}"
        helm("install", "rel", str(CHART), "-n", system, "--set", namespaces, "--take-ownership", *words)

    return call
