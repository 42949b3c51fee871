"""Wakes that can't succeed, told by a real scheduler, kubelet and volume controller, not by words that we wrote ourselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes_world import CRDS, Cluster, RunningRouter, known
from router_world import Client

from cluster.fixtures import Cluster as KubernetesCluster
from cluster.fixtures import make_namespace
from deadlines import eventually
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer

pytestmark = pytest.mark.cluster


@pytest.fixture
async def real(node_cluster: KubernetesCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """A namespace where pods run. It is not waited for at its end, which would take longer than the tests."""
    namespace = make_namespace(node_cluster)
    node_cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    node_cluster.kubectl("wait", "--for=condition=Established", "-f", str(CRDS), "--timeout=30s")
    monkeypatch.setenv("KUBECONFIG", str(node_cluster.kubeconfig))
    api = ApiServer(await ApiAccess.load())
    found = Cluster(api, namespace)
    await found.template(wake="40s")
    yield found
    await api.close()
    node_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
async def router(real: Cluster) -> AsyncIterator[RunningRouter]:
    """A router that reaches pods as those in the cluster do."""
    router = await RunningRouter(real, await ApiAccess.load()).start()
    yield router
    await router.stop()


def changed(container: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    return {"container": container or {}, "pod": pod}


MOUNT = {"name": "config", "mountPath": "/etc/openclaw"}


@pytest.mark.parametrize(
    ("change", "cause", "words"),
    [
        (changed({"image": "localhost/none:1"}), "image", "ErrImageNeverPull"),
        (changed({"image": "localhost/none:1", "imagePullPolicy": "Always"}), "image", "localhost/none:1"),
        (changed({"resources": {"requests": {"cpu": "1000"}}}), "no_node", "Insufficient cpu"),
        (
            changed(volumes=[{"name": "state", "persistentVolumeClaim": {"claimName": "openclaw-ann"}}]),
            "volume",
            'storageclass.storage.k8s.io "none" not found',
        ),
        (
            changed({"volumeMounts": [MOUNT]}, volumes=[{"name": "config", "secret": {"secretName": "openclaw-ann"}}]),
            "volume",
            'secret "openclaw-ann" not found',
        ),
        (changed({"envFrom": [{"secretRef": {"name": "keys"}}]}), "container", 'secret "keys" not found'),
        (
            changed({"command": ["sh", "-c", "echo no config > /dev/termination-log; exit 78"]}),
            "crash",
            "exit had code 78: Error: no config",
        ),
    ],
)
async def test_the_clusters_own_words(
    node_cluster: KubernetesCluster,
    real: Cluster,
    router: RunningRouter,
    change: dict[str, Any],
    cause: str,
    words: str,
) -> None:
    assert node_cluster.provider
    token = await real.tenant("ann", provisioned=False)
    container = {"image": node_cluster.provider.python_image, "command": ["sleep", "600"], **change["container"]}
    if cause == "volume":
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "none",
        }
        await real.create("persistentvolumeclaims", {"metadata": {"name": "openclaw-ann"}, "spec": spec})
    await real.deployment("ann", container=container, pod=change["pod"])
    await known(router, real, "ann")
    client = await Client.open(router)
    held = asyncio.create_task(client.hello(token))
    failure = await eventually(lambda: router.why("ann")["lastFailure"], 30, "the wake has failed")
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    assert failure["cause"] == cause, failure
    assert words in failure["text"]
