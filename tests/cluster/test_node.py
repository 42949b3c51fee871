"""The node runs pods as a cluster should: volumes cloned and apart, Services, DNS, exec, logs, failures."""

from __future__ import annotations

import pytest

from cluster.abilities import Ability
from cluster.fixtures import Cluster
from cluster.packets import FILES, SERVE, TCP_PORTS, Target, Verdict, from_host, from_pod
from cluster.pods import claim, pod
from deadlines import eventually

POD_SECONDS = 60.0
FILL = ("sh", "-c", "echo template > /data/SOUL.md")
APPEND = ("sh", "-c", "cat /data/SOUL.md && echo mine > /data/mine && ls /data && sleep 600")


def config_map(name: str, files: dict[str, str]) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files}


@pytest.mark.needs(Ability.CLONES)
def test_clones_start_from_the_template_and_stay_apart(node_cluster: Cluster, node_namespace: str) -> None:
    assert node_cluster.provider
    image, storage = node_cluster.provider.python_image, node_cluster.provider.storage_class
    kubectl, where = node_cluster.kubectl, ("-n", node_namespace)
    kubectl.apply(claim("template", storage), pod("fill", image, FILL, volume="template"), namespace=node_namespace)
    kubectl.wait("jsonpath={.status.phase}=Succeeded", "pod/fill", *where, timeout=POD_SECONDS)
    names = ("one", "two")
    for name in names:
        kubectl.apply(claim(name, storage, clone_of="template"), namespace=node_namespace)
        kubectl.wait("jsonpath={.status.phase}=Bound", f"pvc/{name}", *where)
    kubectl.apply(pod("one", image, APPEND, volume="one"), namespace=node_namespace)
    kubectl.wait("condition=Ready", "pod/one", *where, timeout=POD_SECONDS)
    assert kubectl.in_pod("one", ["cat", "/data/SOUL.md", "/data/mine"], node_namespace).split() == ["template", "mine"]
    kubectl.apply(pod("two", image, ("sleep", "600"), volume="two"), namespace=node_namespace)
    kubectl.wait("condition=Ready", "pod/two", *where, timeout=POD_SECONDS)
    assert kubectl.in_pod("two", ["ls", "/data"], node_namespace).split() == ["SOUL.md"]
    assert kubectl.in_pod("two", ["id", "-u"], node_namespace).strip() == "10001"


@pytest.fixture
def echo(node_cluster: Cluster, node_namespace: str) -> Cluster:
    """A pod `echo` behind the Service `echo`, port 80."""
    assert node_cluster.provider
    image = node_cluster.provider.python_image
    probe = {"name": "web", "containerPort": TCP_PORTS[0]}
    service = {"selector": {"app": "echo"}, "ports": [{"port": 80, "targetPort": "web"}]}
    node_cluster.kubectl.apply(
        config_map("files", FILES),
        pod("echo", image, SERVE, config_map="files", ports=[probe]),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"}, "spec": service},
        namespace=node_namespace,
    )
    node_cluster.kubectl.wait("condition=Ready", "pod/echo", "-n", node_namespace, timeout=POD_SECONDS)
    return node_cluster


@pytest.mark.needs(Ability.ROUTES)
async def test_service_is_reached_by_name_and_from_the_host(echo: Cluster, node_namespace: str) -> None:
    kubectl = echo.kubectl
    await eventually(lambda: "listening" in kubectl("logs", "-n", node_namespace, "echo"), 20)
    address = kubectl.get("service", "echo", "-n", node_namespace)["spec"]["clusterIP"]
    by_name = Target(f"echo.{node_namespace}.svc.cluster.local", 80)
    kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=60s", timeout=65)

    def from_everywhere() -> bool:
        inside = from_pod(kubectl, node_namespace, "echo", by_name, Target(address, 80))
        return {*inside, *from_host(Target(address, 80))} == {Verdict.OPEN}

    await eventually(from_everywhere, 20)


@pytest.mark.needs(Ability.PARTS)
def test_a_kubelet_that_was_away_comes_back(echo: Cluster, node_namespace: str) -> None:
    assert echo.provider
    echo.stop("kubelet")
    echo.kubectl.apply(pod("late", echo.provider.python_image, ("sleep", "600")), namespace=node_namespace)
    echo.start("kubelet")
    echo.kubectl.wait("condition=Ready", "pod/late", "-n", node_namespace, timeout=POD_SECONDS)
    restarts = echo.kubectl.get("pod", "echo", "-n", node_namespace)["status"]["containerStatuses"][0]["restartCount"]
    assert restarts == 0
