"""The product on a cluster: our images, the chart, a model, and templates of both runtimes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import pytest

from cluster.fixtures import Cluster, make_namespace
from cluster.images.ours import TARGETS, ours
from cluster.pods import claim, pod
from e2e_cluster import model
from e2e_cluster.release import NAME, MakeCli, Release, cli_maker
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

FILL_SECONDS = 60.0
# What tenants start from: a file of the workspace that no gateway writes by itself.
FILL = ("sh", "-c", "mkdir -p /data/workspace && echo 'Made for you.' > /data/workspace/WELCOME.md")


@pytest.fixture(scope="session")
def images(node_cluster: Cluster) -> Mapping[str, str]:
    """Our four images, built and present; CLUSTER_KEEP_IMAGES=1: those of `make cluster-images`, however old."""
    assert node_cluster.provider
    if os.environ.get("CLUSTER_KEEP_IMAGES"):
        return {target: image.tag for target, image in zip(TARGETS, ours(), strict=True)}
    return dict(zip(TARGETS, node_cluster.provider.load(ours()), strict=True))


@pytest.fixture(scope="session")
def model_address(node_cluster: Cluster, images: Mapping[str, str]) -> Iterator[str]:
    """Address of a pod that answers as a language model, in a namespace of its own."""
    namespace = make_namespace(node_cluster)
    yield model.start(node_cluster, namespace, images["router"])
    node_cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed tells what the release's parts say."""
    report = yield
    release = getattr(item, "funcargs", {}).get("release")
    if report.when == "call" and report.failed and isinstance(release, Release):
        report.sections.append(("the release", release.say()))
    return report


def fill(release: Release, name: str, storage_class: str) -> None:
    """Make a claim that tenants' volumes can be cloned from."""
    assert release.cluster.provider
    filler = f"fill-{name}"
    release.apply(claim(name, storage_class), pod(filler, release.cluster.provider.python_image, FILL, volume=name))
    done = "jsonpath={.status.phase}=Succeeded"
    release.cluster.kubectl.wait(done, f"pod/{filler}", "-n", release.tenants, timeout=FILL_SECONDS)


@pytest.fixture(scope="package")
def release(node_cluster: Cluster, images: Mapping[str, str], model_address: str) -> Iterator[Release]:
    """The chart, installed; templates `native` and `upstream` whose tenants start from a filled volume, where volumes can be cloned."""
    name = f"e2e-{secrets.token_hex(3)}"
    made = Release(node_cluster, images, name, f"{name}-tenants", (f"{model_address}/32:{model.PORT}",))
    try:
        made.install()
        if made.source:
            fill(made, made.source, made.storage_class)
        for template, runtime in (("native", "native"), ("upstream", "openclaw")):
            made.apply(made.template(template, runtime, model.config(model_address), made.source))
        yield made
    finally:
        made.close()
        made.helm("uninstall", "--ignore-not-found", "--wait", NAME)
        node_cluster.kubectl("delete", "namespace", made.namespace, made.tenants, "--ignore-not-found", timeout=120)


@pytest.fixture
def cli(release: Release, openclaw: OpenClawRuntime, tmp_path: Path) -> MakeCli:
    """Makes upstream's clients: `cli("anna")`."""
    return cli_maker(release, openclaw, tmp_path)
