"""Storage that binds on first use: said as what it is, cloned at the first wake, or ahead of it with `volume.prebind`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.abilities import Ability
from cluster.layout import LATE_STORAGE_CLASS
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.conftest import fill
from e2e_cluster.release import SOON, MakeCli, Release
from tenant_api.kubernetes_names import child_name

pytestmark = [pytest.mark.openclaw, pytest.mark.needs(Ability.LATE)]

SOURCE = "template-late"
PREBIND_SECONDS = SOON
WELCOME = ("cat", "/state/workspace/WELCOME.md")


@pytest.fixture(scope="module")
def late(release: Release, model_address: str) -> Iterator[Release]:
    """Templates `late` and `prebound`, whose volumes are clones on storage that binds on first use."""
    fill(release, SOURCE, LATE_STORAGE_CLASS)
    source = {"persistentVolumeClaim": {"claimName": SOURCE}}
    volume = {"size": "1Gi", "storageClassName": LATE_STORAGE_CLASS, "source": source}
    config = model.config(model_address)
    release.apply(
        release.template("late", "native", config, volume=volume),
        release.template("prebound", "native", config, volume={**volume, "prebind": True}),
        release.tenant("lena", "late"),
        release.tenant("petra", "prebound"),
    )
    yield release
    release.cluster.kubectl("delete", "tenant", "lena", "petra", "-n", release.tenants, "--wait=false")


async def test_the_first_wake_includes_the_clone(late: Release, cli: MakeCli) -> None:
    await late.provisioned("lena")

    def told() -> bool:
        assert late.condition("lena", "VolumeReady").get("reason") == "WaitForFirstConsumer"
        return True

    await eventually(told, SOON, "its volume waits for its first consumer")
    condition = late.condition("lena", "VolumeReady")
    assert condition["status"] == "Unknown", "it is no error"
    assert "the first wake includes the clone" in condition["message"]
    assert late.get("tenant", "lena")["status"]["phase"] == "Asleep"
    assert late.get("pvc", child_name("lena"))["status"]["phase"] == "Pending"
    health = (await cli("lena").call("health", timeout=180)).ok()
    assert health.json["ok"] is True
    assert late.in_gateway("lena", *WELCOME) == "Made for you.\n"
    await eventually(lambda: late.condition("lena", "VolumeReady").get("reason") == "Bound", SOON, "bound since")


async def test_prebind_binds_before_any_wake(late: Release) -> None:
    await late.provisioned("petra")

    def bound() -> bool:
        condition = late.condition("petra", "VolumeReady")
        assert (condition.get("status"), condition.get("reason")) == ("True", "Bound"), condition
        return True

    await eventually(bound, PREBIND_SECONDS, "bound by a pod that only binds")
    assert late.get("pvc", child_name("petra"))["status"]["phase"] == "Bound"
    tenant = late.get("tenant", "petra")["status"]
    assert tenant["phase"] == "Asleep"
    assert not tenant.get("usage", {}).get("wakes"), "nobody has woken it"
    assert late.get("deployment", child_name("petra"))["spec"]["replicas"] == 0
    await late.asleep("petra")  # the pod that bound has the tenant's label too
    async with late.client("petra"):
        assert late.in_gateway("petra", *WELCOME) == "Made for you.\n"
