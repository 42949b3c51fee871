"""Apart by packets: what a tenant's pod reaches, and who reaches it, with the operator's policies in force.

What only the exceptions of the rule for HTTPS close is in test_private_networks.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from cluster.abilities import Ability
from cluster.fixtures import Cluster, make_namespace
from cluster.packets import FILES, PROBE, SERVE, TCP_PORTS, Target, Verdict, from_host, from_pod
from cluster.pods import pod
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import SOON, Release

pytestmark = [pytest.mark.needs(Ability.POLICIES)]

OPEN, CLOSED = Verdict.OPEN, Verdict.CLOSED
GATEWAY, KUBELET, ROUTER_ADMIN = 18789, 10250, 18790
NAMES = ("ines", "ivan")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def awake(release: Release) -> AsyncIterator[dict[str, str]]:
    """Two tenants that are awake: address by name."""
    release.apply(*(release.tenant(name, "native", power="AlwaysOn") for name in NAMES))
    await release.provisioned(*NAMES)
    found: dict[str, str] = {}
    for name in NAMES:
        async with release.client(name):
            found[name] = release.pods(name)[0]["status"]["podIP"]
    yield found
    release.cluster.kubectl("delete", "tenant", *NAMES, "-n", release.tenants)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_tenant_reaches_the_model_and_nothing_private(
    release: Release, awake: dict[str, str], model_address: str
) -> None:
    closed = [
        Target(awake["ivan"], GATEWAY),
        Target(*release.cluster.api_service),
        *(Target(*endpoint) for endpoint in release.cluster.api_endpoints),
        *(Target(address, KUBELET) for address in release.cluster.node_addresses),
        *(Target(address, ROUTER_ADMIN) for address in router_addresses(release)),
    ]
    targets = [Target(model_address, model.PORT), *closed]
    wanted = [OPEN, *[CLOSED] * len(closed)]
    await eventually(lambda: release.sees("ines", targets) == wanted, SOON)


@pytest.mark.asyncio(loop_scope="module")
async def test_only_the_router_enters(release: Release, awake: dict[str, str]) -> None:
    targets = [Target(address, GATEWAY) for address in awake.values()]
    for router in release.pods_of("router"):
        words = ["python3", "-c", PROBE, *map(str, targets)]
        assert release.cluster.kubectl.in_pod(router, words, release.namespace).split() == ["open", "open"]


@pytest.mark.needs(Ability.ROUTES)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_machine_outside_does_not_enter(awake: dict[str, str]) -> None:
    assert from_host(*(Target(address, GATEWAY) for address in awake.values())) == [CLOSED, CLOSED]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_stranger_of_the_tenants_own_namespace_is_kept_out(
    node_cluster: Cluster, release: Release, awake: dict[str, str]
) -> None:
    assert node_cluster.provider
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": FILES}
    stranger = pod("stranger", node_cluster.provider.python_image, SERVE, config_map="files")
    elsewhere = make_namespace(node_cluster)
    targets = [Target(address, GATEWAY) for address in awake.values()]
    try:
        for namespace in (release.tenants, elsewhere):
            node_cluster.kubectl.apply(files, stranger, namespace=namespace)
            node_cluster.kubectl.wait("condition=Ready", "pod/stranger", "-n", namespace)
            assert from_pod(node_cluster.kubectl, namespace, "stranger", *targets) == [CLOSED, CLOSED]
    finally:
        node_cluster.kubectl("delete", "pod/stranger", "configmap/files", "-n", release.tenants)
        node_cluster.kubectl("delete", "namespace", elsewhere, "--wait=false")


@pytest.fixture(scope="module")
def store(node_cluster: Cluster) -> Iterator[str]:
    """Address of a server in the cluster that the operator's setting opens to nobody."""
    assert node_cluster.provider
    namespace = make_namespace(node_cluster)
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"}, "data": FILES}
    node_cluster.kubectl.apply(
        files, pod("store", node_cluster.provider.python_image, SERVE, config_map="files"), namespace=namespace
    )
    node_cluster.kubectl.wait("condition=Ready", "pod/store", "-n", namespace)
    yield str(node_cluster.kubectl.get("pod", "store", "-n", namespace)["status"]["podIP"])
    node_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_template_opens_to_its_own_tenants_while_they_run(
    release: Release, awake: dict[str, str], model_address: str, store: str
) -> None:
    def opens(*egress: str) -> None:
        config = model.config(model_address)
        release.apply(release.template("opened", "native", config, release.source, egress=list(egress)))

    opens()
    release.apply(release.tenant("ivy", "opened", power="AlwaysOn"))
    try:
        await release.provisioned("ivy")
        async with release.client("ivy"):
            pods = [one["metadata"]["uid"] for one in release.pods("ivy")]
        named, other = (Target(store, port) for port in TCP_PORTS[:2])
        ines = Target(awake["ines"], GATEWAY)
        targets = [named, other, ines]
        assert release.sees("ivy", targets) == [CLOSED, CLOSED, CLOSED]
        # Another tenant stays closed whatever a template says: only the router enters.
        opens(f"{store}/32:{named.port}", f"{ines.host}/32:{GATEWAY}")
        await eventually(lambda: release.sees("ivy", targets) == [OPEN, CLOSED, CLOSED], SOON)
        assert release.sees("ines", [named, other]) == [CLOSED, CLOSED]
        opens()
        await eventually(lambda: release.sees("ivy", targets) == [CLOSED, CLOSED, CLOSED], SOON)
        assert [one["metadata"]["uid"] for one in release.pods("ivy")] == pods
    finally:
        release.cluster.kubectl("delete", "tenant/ivy", "tenanttemplate/opened", "-n", release.tenants)


def router_addresses(release: Release) -> list[str]:
    """Addresses of the router's pods."""
    kubectl = release.cluster.kubectl
    return [kubectl.get("pod", name, "-n", release.namespace)["status"]["podIP"] for name in release.pods_of("router")]
