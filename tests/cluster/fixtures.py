"""Pytest's way to a cluster: `api_server` (no pod ever runs in it) and `node_cluster` (pods run), see README.md."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from terminal import terminal

from .abilities import Ability, lacking
from .api import Api
from .errors import ClusterError
from .kubectl import Kubectl
from .layout import Layout, Level
from .progress import Progress
from .providers import Choice, Provider, Scratch, choice, provider
from .scratch import ScratchCluster

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
CLUSTER_FIXTURES = frozenset({"api_server", "node_cluster"})
# The programs may have to be compiled first: 16 minutes on two cores, once a machine.
BUILD_TIMEOUT_SECONDS = 2700
# What an API server is called by the process that runs the tests.
OF_A_RUN = "test-"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*abilities): left out where the cluster lacks one of cluster.abilities")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a cluster, so that nobody has to remember to; give the first one time to build it."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if CLUSTER_FIXTURES.intersection(fixtures):
            item.add_marker(pytest.mark.cluster)
            if "node_cluster" in fixtures:
                item.add_marker(pytest.mark.node)
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(BUILD_TIMEOUT_SECONDS))


@cache
def _abilities() -> frozenset[Ability]:
    return provider(Progress()).abilities


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the cluster can't be asked for, and say what that is."""
    needed = [ability for marker in item.iter_markers("needs") for ability in marker.args]
    if needed and (why := lacking(needed, _abilities())):
        pytest.skip(f"CLUSTER={choice()}: {why}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On our own node nothing may be left out, whoever skips it: that would be taken for tested."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and item.get_closest_marker("node") and choice() == Choice.SCRATCH:
        report.outcome = "failed"
        report.longrepr = f"skipped on CLUSTER=scratch, which lacks nothing: {report.longrepr}"
    return report


@dataclass(frozen=True)
class Cluster:
    """A running cluster, and the ways to it."""

    kubeconfig: Path
    """Of an administrator (`system:masters`)."""
    kubectl: Kubectl
    """`kubectl("get", "pods", "-A")` returns what was printed, CommandFailed carries kubectl's words; see kubectl.py."""
    scratch: ScratchCluster | None = None
    """Its parts, to stop and start them; None where the cluster is not ours."""
    provider: Provider | None = None
    """Loads images; None for an API server without a node."""

    @property
    def url(self) -> str:
        """Of the API server, without a slash at the end."""
        return self.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}").rstrip("/")

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can be asked for; a test that can't do without names it: `pytest.mark.needs(Ability.CLONES)`."""
        return self.provider.abilities if self.provider else frozenset()

    @property
    def api_service(self) -> tuple[str, int]:
        """Address and port of the Service `kubernetes`, as pods call the API server."""
        spec = self.kubectl.get("service", "kubernetes", "-n", "default")["spec"]
        return spec["clusterIP"], spec["ports"][0]["port"]

    @property
    def api_endpoints(self) -> list[tuple[str, int]]:
        """Addresses and ports of the API servers themselves, as a policy sees them."""
        slices = self.kubectl.get("endpointslices", "-n", "default", "-l", "kubernetes.io/service-name=kubernetes")
        return [
            (address, port["port"])
            for one in slices["items"]
            if one["addressType"] == "IPv4"
            for endpoint in one["endpoints"]
            for address in endpoint["addresses"]
            for port in one["ports"]
        ]

    @property
    def node_addresses(self) -> list[str]:
        """The nodes' own addresses, IPv4."""
        return [
            address["address"]
            for node in self.kubectl.get("nodes")["items"]
            for address in node["status"]["addresses"]
            if address["type"] == "InternalIP" and ":" not in address["address"]
        ]

    @property
    def api(self) -> Api:
        """A small client of the standard library's; only for clusters of our own."""
        return Api(self.kubeconfig)

    def stop(self, component: str) -> None:
        """Stop `apiserver`, `etcd`, `kubelet`, ... as a failure would."""
        self._own().stop(component)

    def start(self, component: str) -> None:
        """Start it again; returns when it is ready."""
        self._own().start(component)

    def _own(self) -> ScratchCluster:
        if not self.scratch:
            raise ClusterError("this cluster is not ours to stop parts of", "run with CLUSTER=scratch")
        return self.scratch


def _started(name: str, level: Level, request: pytest.FixtureRequest) -> Cluster:
    write_line, uncaptured = terminal(request.config)
    scratch = ScratchCluster(Layout.default(), name, Progress(lambda text: write_line(f"  cluster: {text}")))
    with uncaptured():
        write_line("")
        try:
            scratch.up(level)
        except ClusterError:
            scratch.down()
            raise
    return Cluster(scratch.instance.kubeconfig, scratch.kubectl, scratch)


def _remove_abandoned() -> None:
    """Take down what a run that was killed has left: those named by a process that is gone."""
    layout = Layout.default()
    for path in layout.instances.glob(f"{OF_A_RUN}*"):
        if not Path("/proc", path.name.removeprefix(OF_A_RUN)).exists():
            ScratchCluster(layout, path.name, Progress()).down(wipe=True)


@pytest.fixture(scope="session")
def api_server(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """etcd, kube-apiserver and kube-controller-manager for this run alone, on free ports (3 s to start).

    Without a node: Deployments make ReplicaSets and these make pods, which stay Pending; owners' children are
    collected, namespaces deleted, service accounts made. Patch a pod's status to play the kubelet.
    """
    _remove_abandoned()
    cluster = _started(f"{OF_A_RUN}{os.getpid()}", Level.APISERVER, request)
    yield cluster
    assert cluster.scratch
    cluster.scratch.down(wipe=True)


def make_namespace(cluster: Cluster) -> str:
    """A fresh namespace at the Pod Security level `restricted`; returns when pods may be made in it."""
    name = f"t-{secrets.token_hex(4)}"
    metadata = {"name": name, "labels": RESTRICTED}
    cluster.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    cluster.kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=30s")
    return name


@pytest.fixture(scope="session")
def node_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster that CLUSTER means, with pods. What ran before keeps running; a scratch one of ours is taken down.

    One a machine: make namespaces of your own (`node_namespace`), and remove what you make outside of them.
    """
    write_line, uncaptured = terminal(request.config)
    chosen = provider(Progress(lambda text: write_line(f"  cluster: {text}")))
    scratch = chosen.cluster if isinstance(chosen, Scratch) else None
    found_running = scratch is not None and scratch.status() is not None
    with uncaptured():
        write_line("")
        chosen.up()
    yield Cluster(chosen.kubectl.kubeconfig, chosen.kubectl, scratch, chosen)
    if scratch and not found_running:
        scratch.down()


@pytest.fixture
def node_namespace(node_cluster: Cluster) -> Iterator[str]:
    """A fresh namespace of `node_cluster`, gone after the test with all that is in it."""
    name = make_namespace(node_cluster)
    yield name
    node_cluster.kubectl("delete", "namespace", name, "--timeout=60s", timeout=65)


@pytest.fixture
def namespace(api_server: Cluster) -> Iterator[str]:
    """A fresh namespace of `api_server`, deleted after the test."""
    name = make_namespace(api_server)
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")
