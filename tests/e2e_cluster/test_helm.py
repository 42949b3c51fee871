"""`helm test`, and `helm uninstall` that leaves the tenants' volumes. `helm upgrade` is in test_upgrade.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import NAME, SOON, Release
from tenant_api.kubernetes_names import child_name


@pytest.fixture
def own(release: Release, model_address: str) -> Iterator[Release]:
    """The release, with a tenant `hana`."""
    release.apply(release.template("empty", "native", model.config(model_address)), release.tenant("hana", "empty"))
    yield release


async def test_helm_test_talks_to_a_tenant(release: Release) -> None:
    said = release.helm("test", NAME, "--logs", "--timeout", "170s")
    assert "Succeeded" in said
    left = release.get("tenants")["items"]
    assert not [tenant for tenant in left if "test" in tenant["metadata"]["name"]]


async def test_uninstall_keeps_tenants_and_volumes(own: Release) -> None:
    await own.provisioned("hana")
    made = own.get("pvc", child_name("hana"))["metadata"]["uid"]
    own.helm("uninstall", NAME, "--wait", "--timeout", "120s")
    try:
        # The pods are the garbage collector's, which helm does not wait for.
        await eventually(lambda: own.pods_of("router") == own.pods_of("operator") == [], SOON, "nothing of it runs")
        claim = own.get("pvc", child_name("hana"))
        assert claim["metadata"]["uid"] == made
        assert claim["status"]["phase"] == ("Pending" if own.binds_late() else "Bound")
    finally:
        own.install()
    async with own.client("hana") as client:
        await client.call("health")
