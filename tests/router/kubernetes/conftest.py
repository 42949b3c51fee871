"""A namespace on a real API server, a node that is played, and a router with a Kubernetes fleet on this loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kubernetes_process import Replicas
from kubernetes_world import CRDS, NODE, Cluster, Line, Node, RunningRouter

from cluster.fixtures import Cluster as KubernetesCluster
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer


@pytest.fixture(scope="session")
def prepared(api_server: KubernetesCluster) -> KubernetesCluster:
    """The API server with our resources and a node's object, so that nobody collects its pods."""
    api_server.kubectl("apply", "--server-side", "-f", str(CRDS))
    api_server.kubectl("wait", "--for=condition=Established", "-f", str(CRDS), "--timeout=30s")
    api_server.kubectl.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    return api_server


@pytest.fixture
async def cluster(
    prepared: KubernetesCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    """The namespace, as its admin and operator see it, with the template `standard`."""
    monkeypatch.setenv("KUBECONFIG", str(prepared.kubeconfig))
    api = ApiServer(await ApiAccess.load())
    found = Cluster(api, namespace)
    await found.template()
    yield found
    await api.close()


@pytest.fixture
async def node(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Node]:
    """What runs the pods."""
    async with Node(cluster, tmp_path).running() as found:
        yield found


@pytest.fixture
async def running(cluster: Cluster) -> AsyncIterator[RunningRouter]:
    """The router."""
    router = await RunningRouter(cluster, await ApiAccess.load()).start()
    yield router
    await router.stop()


@pytest.fixture
async def line(cluster: Cluster) -> AsyncIterator[Line]:
    """The network between `distant` and the API server."""
    found = Line((await ApiAccess.load()).server)
    await found.mend()
    yield found
    await found.cut()


@pytest.fixture
async def distant(cluster: Cluster, line: Line) -> AsyncIterator[RunningRouter]:
    """A router whose API server can be taken away."""
    access = await ApiAccess.load()
    access.server = line.url
    router = await RunningRouter(cluster, access).start()
    yield router
    await router.stop()


@pytest.fixture
async def replicas(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Starts routers as processes of their own."""
    found = Replicas(cluster, tmp_path)
    yield found
    await found.end()
