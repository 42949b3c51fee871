"""Gateways may go out by HTTPS: what is private and serves HTTPS too is closed by the policy's exceptions, and by nothing else.

Each closed target has a real listener that a pod without a policy reaches, and that the same rule without its exceptions opens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from cluster.abilities import Ability
from cluster.faults import listeners
from cluster.fixtures import Cluster, make_namespace
from cluster.packets import FILES, UDP_PORT, Target, Verdict, from_pod
from cluster.pods import pod, policy
from deadlines import eventually
from e2e_cluster.release import SOON, Release
from tenant_api.kubernetes_names import MANAGED_BY, MANAGED_BY_LABEL

pytestmark = [pytest.mark.needs(Ability.POLICIES)]

OPEN, CLOSED = Verdict.OPEN, Verdict.CLOSED
HTTPS, HTTP = 443, 80
METADATA = "169.254.169.254"
PUBLIC = "203.0.113.7"
"""Of RFC 5737's networks for documentation: nobody's, but not among the private ones, so it stands for the internet."""
LOW_PORTS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
"""Pods that are not root may listen on 443."""
NAME = "iris"


@dataclass(frozen=True)
class Neighbour:
    """A pod of another namespace, under no policy, that serves on 443 and looks at others."""

    cluster: Cluster
    namespace: str
    address: str
    service: str

    def sees(self, *targets: Target) -> list[Verdict]:
        return from_pod(self.cluster.kubectl, self.namespace, "neighbour", *targets)


@pytest.fixture(scope="module")
def neighbour(node_cluster: Cluster) -> Iterator[Neighbour]:
    assert node_cluster.provider
    namespace = make_namespace(node_cluster)
    serve = ("python3", "/files/server.py", str(UDP_PORT), str(HTTPS))
    server = pod("neighbour", node_cluster.provider.python_image, serve, config_map="files")
    server["spec"]["securityContext"]["sysctls"] = [LOW_PORTS]
    service = {"selector": {"app": "neighbour"}, "ports": [{"port": HTTPS}]}
    node_cluster.kubectl.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": FILES},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "neighbour"}, "spec": service},
        server,
        namespace=namespace,
    )
    node_cluster.kubectl.wait("condition=Ready", "pod/neighbour", "-n", namespace)
    address = node_cluster.kubectl.get("pod", "neighbour", "-n", namespace)["status"]["podIP"]
    cluster_ip = node_cluster.kubectl.get("service", "neighbour", "-n", namespace)["spec"]["clusterIP"]
    yield Neighbour(node_cluster, namespace, address, cluster_ip)
    node_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenant(release: Release) -> AsyncIterator[Release]:
    """The release, whose tenant `iris` is awake."""
    release.apply(release.tenant(NAME, "native", power="AlwaysOn"))
    await release.provisioned(NAME)
    async with release.client(NAME):
        yield release
    release.cluster.kubectl("delete", "tenant", NAME, "-n", release.tenants)


async def only_by_exceptions(
    release: Release, neighbour: Neighbour, closed: list[Target], others: list[Target]
) -> None:
    """Assert that a tenant is kept from `closed` by the exceptions alone. `others`: what it sees of them stays the same."""
    targets = [*closed, *others]
    await eventually(lambda: neighbour.sees(*targets) == [OPEN] * len(targets), SOON, "all open without a policy")
    before = release.sees(NAME, targets)
    assert before[: len(closed)] == [CLOSED] * len(closed)
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "TCP", "port": HTTPS}]}
    gateways = {"matchLabels": {MANAGED_BY_LABEL: MANAGED_BY}}
    # Policies add up: this one is the operator's rule without its exceptions.
    release.apply(policy("no-exceptions", podSelector=gateways, policyTypes=["Egress"], egress=[rule]))
    try:
        opened = [OPEN] * len(closed) + before[len(closed) :]
        await eventually(lambda: release.sees(NAME, targets) == opened, SOON, "open without the exceptions")
    finally:
        release.cluster.kubectl("delete", "networkpolicy", "no-exceptions", "-n", release.tenants)
    await eventually(lambda: release.sees(NAME, targets) == before, SOON, "closed again")


@pytest.mark.asyncio(loop_scope="module")
async def test_pods_and_services_of_others_are_closed_by_https_too(tenant: Release, neighbour: Neighbour) -> None:
    await only_by_exceptions(
        tenant, neighbour, [Target(neighbour.address, HTTPS), Target(neighbour.service, HTTPS)], []
    )


@pytest.mark.needs(Ability.PARTS)
@pytest.mark.asyncio(loop_scope="module")
async def test_nodes_and_the_clouds_metadata_are_closed_and_the_internet_is_open(
    tenant: Release, neighbour: Neighbour, node_cluster: Cluster
) -> None:
    assert node_cluster.scratch
    (node,) = node_cluster.node_addresses
    closed = [Target(node, HTTPS), Target(METADATA, HTTPS)]
    by_port = [Target(METADATA, HTTP), Target(PUBLIC, HTTP)]
    with listeners(node_cluster.scratch, [METADATA, PUBLIC], [HTTP, HTTPS]):
        assert tenant.sees(NAME, [Target(PUBLIC, HTTPS), *by_port]) == [OPEN, CLOSED, CLOSED]
        await only_by_exceptions(tenant, neighbour, closed, [Target(PUBLIC, HTTPS), *by_port])
    assert neighbour.sees(*closed) == [Verdict.REFUSED, CLOSED], "what was open was the test's own"
