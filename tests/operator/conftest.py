from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from operator_world import World, install_crds, world

from cluster.fixtures import Cluster


@pytest.fixture(scope="session")
def with_crds(api_server: Cluster) -> Cluster:
    """The API server with our kinds."""
    install_crds(api_server)
    return api_server


@pytest.fixture
def here(with_crds: Cluster, namespace: str, tmp_path: Path) -> Iterator[World]:
    """A fresh namespace; operators started in it end with the test."""
    with world(with_crds, namespace, tmp_path) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the operators said when a test fails."""
    report = yield
    made = getattr(item, "funcargs", {}).get("here")
    if report.failed and isinstance(made, World):
        for running in made.running:
            report.sections.append((f"operator {running.process.pid}", running.log.read_text()[-6000:]))
    return report
