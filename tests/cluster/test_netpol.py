"""NetworkPolicies bite: real connections between pods, Services, the node and the API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.abilities import Ability
from cluster.fixtures import Cluster, make_namespace
from cluster.packets import FILES, SERVE, UDP_PORT, Target, Verdict, from_host, from_pod
from cluster.pods import pod, policy
from deadlines import eventually

POD_SECONDS = 60.0
# From a policy's creation to its being in force: a watch and one run of nft.
FORCE_SECONDS = 10.0
KUBELET = 10250
pytestmark = [pytest.mark.needs(Ability.POLICIES, Ability.ROUTES)]
PODS = ("server", "friend", "stranger")
OPEN, CLOSED = Verdict.OPEN, Verdict.CLOSED


class World:
    """Pods in two namespaces that all echo, and what they are to each other."""

    def __init__(self, cluster: Cluster, here: str, there: str) -> None:
        self.cluster, self.here, self.there = cluster, here, there
        self.address: dict[tuple[str, str], str] = {}

    def start(self) -> None:
        assert self.cluster.provider
        kubectl, image = self.cluster.kubectl, self.cluster.provider.python_image
        web = [{"name": "web", "containerPort": 8080}]
        files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": FILES}
        for namespace in (self.here, self.there):
            pods = [pod(name, image, SERVE, config_map="files", ports=web) for name in PODS]
            kubectl.apply(files, *pods, namespace=namespace)
        for namespace in (self.here, self.there):
            kubectl.wait("condition=Ready", "pod", "--all", "-n", namespace, timeout=POD_SECONDS)
            for item in kubectl.get("pods", "-n", namespace)["items"]:
                self.address[namespace, item["metadata"]["name"]] = item["status"]["podIP"]

    def target(self, name: str, port: int = 8080, namespace: str | None = None, protocol: str = "tcp") -> Target:
        return Target(self.address[namespace or self.here, name], port, protocol)

    @property
    def api(self) -> Target:
        """The API server by its Service."""
        return Target(*self.cluster.api_service)

    def sees(self, name: str, *targets: Target, namespace: str | None = None) -> list[Verdict]:
        return from_pod(self.cluster.kubectl, namespace or self.here, name, *targets)

    def policies(self, *policies: dict[str, Any]) -> None:
        """These, and no others."""
        self.cluster.kubectl("delete", "networkpolicies", "--all", "-n", self.here)
        if policies:
            self.cluster.kubectl.apply(*policies, namespace=self.here)


@pytest.fixture(scope="module")
def world(node_cluster: Cluster) -> Iterator[World]:
    here, there = make_namespace(node_cluster), make_namespace(node_cluster)
    try:
        made = World(node_cluster, here, there)
        made.start()
        yield made
    finally:
        node_cluster.kubectl("delete", "namespace", here, there, "--timeout=60s", timeout=65)


async def test_everything_is_open_without_a_policy(world: World) -> None:
    world.policies()
    targets = [world.target("server"), world.target("server", UDP_PORT, protocol="udp"), world.api]
    await eventually(lambda: world.sees("friend", *targets, namespace=world.there) == [OPEN, OPEN, OPEN], 20)
    assert from_host(world.target("server")) == [OPEN]


async def test_default_deny_closes_a_namespace_to_all_but_the_node(world: World) -> None:
    world.policies(policy("deny", podSelector={}, policyTypes=["Ingress"]))
    targets = [world.target("server"), world.target("server", UDP_PORT, protocol="udp")]
    await eventually(lambda: world.sees("friend", *targets) == [CLOSED, CLOSED], FORCE_SECONDS)
    assert world.sees("friend", *targets, world.target("server", namespace=world.there), namespace=world.there) == [
        CLOSED,
        CLOSED,
        OPEN,
    ]
    assert from_host(*targets) == [CLOSED, CLOSED]
    assert world.sees("server", world.target("friend", namespace=world.there), world.api) == [OPEN, OPEN]


async def test_one_pod_of_one_other_namespace_enters_by_one_port(world: World) -> None:
    there = {"matchLabels": {"kubernetes.io/metadata.name": world.there}}
    peer = {"namespaceSelector": there, "podSelector": {"matchLabels": {"app": "friend"}}}
    rule = {"from": [peer], "ports": [{"port": "web"}]}
    world.policies(policy("friend", podSelector={"matchLabels": {"app": "server"}}, ingress=[rule]))
    targets = [world.target("server"), world.target("server", 9090)]
    await eventually(lambda: world.sees("friend", *targets, namespace=world.there) == [OPEN, CLOSED], FORCE_SECONDS)
    assert world.sees("stranger", *targets, namespace=world.there) == [CLOSED, CLOSED]
    assert world.sees("friend", *targets, world.target("stranger")) == [CLOSED, CLOSED, OPEN]


async def test_egress_to_one_pod_leaves_no_way_to_the_api_server_or_the_node(world: World) -> None:
    server = {"podSelector": {"matchLabels": {"app": "server"}}}
    only = {"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"], "egress": [{"to": [server]}]}
    world.policies(policy("out", **only))
    endpoints = [Target(*endpoint) for endpoint in world.cluster.api_endpoints]
    kubelets = [Target(address, KUBELET) for address in world.cluster.node_addresses]
    closed = [world.target("stranger"), world.api, *endpoints, *kubelets]
    wanted = [OPEN, *[CLOSED] * len(closed)]
    await eventually(lambda: world.sees("friend", world.target("server"), *closed) == wanted, FORCE_SECONDS)
    assert world.sees("stranger", world.target("friend"), world.api) == [OPEN, OPEN]


async def test_address_blocks_with_exceptions(world: World) -> None:
    block = {
        "cidr": "10.0.0.0/8",
        "except": [f"{world.target('stranger').host}/32", *(f"{one}/32" for one in world.cluster.node_addresses)],
    }
    only = {"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"]}
    world.policies(policy("blocks", **only, egress=[{"to": [{"ipBlock": block}]}]))
    targets = [world.target("server"), world.target("stranger"), world.api]
    await eventually(lambda: world.sees("friend", *targets) == [OPEN, CLOSED, CLOSED], FORCE_SECONDS)
