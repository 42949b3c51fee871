"""Templates from a VolumeSnapshot, as docs/kubernetes.md has it: tenants get what was snapshotted, whatever becomes of the claim."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from cluster.abilities import Ability
from cluster.images.ours import REPOSITORY
from cluster.pods import READY_TO_USE, claim, pod, snapshot
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.conftest import fill
from e2e_cluster.release import SOON, MakeCli, Release

pytestmark = [pytest.mark.openclaw, pytest.mark.needs(Ability.SNAPSHOTS)]

NAME = "standard-1"
WELCOME = ("cat", "/state/workspace/WELCOME.md")
SPOIL = ("sh", "-c", "echo 'Spoilt.' > /data/workspace/WELCOME.md")


def documented() -> tuple[dict[str, Any], dict[str, Any]]:
    """The snapshot and the template of docs/kubernetes.md."""
    page = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    section = page.partition("\n## Templates from a snapshot\n")[2].partition("\n## ")[0]
    taken, made = (YAML(typ="safe").load(text) for text in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL))
    return taken, made


def volume(release: Release, name: str, size: str = "1Gi") -> dict[str, Any]:
    """`spec.volume` of a template whose tenants start from this snapshot."""
    made = {"size": size, "source": {"volumeSnapshot": {"name": name}}}
    return {**made, "storageClassName": release.storage_class} if release.storage_class else made


async def says(release: Release, kind: str, name: str, reason: str, *words: str) -> None:
    """Wait until the condition VolumeReady has this reason and these words."""

    def said() -> bool:
        condition = release.condition(name, "VolumeReady", kind)
        assert condition.get("reason") == reason, condition
        assert all(word in condition["message"] for word in words), condition
        return True

    await eventually(said, SOON, f"{name}: {reason}")


@pytest.fixture(scope="module")
def prepared(release: Release, model_address: str) -> Iterator[Release]:
    """A template `snapshotted`, from a snapshot that was taken as the docs say."""
    taken, made = documented()
    kubectl, where = release.cluster.kubectl, ("-n", release.tenants)
    fill(release, NAME, release.storage_class)
    kubectl("delete", "pod", f"fill-{NAME}", *where)
    release.apply(taken)
    kubectl.wait(READY_TO_USE, f"volumesnapshot/{NAME}", *where, timeout=SOON)
    spec = {**volume(release, NAME), **made["spec"]["volume"]}
    release.apply(release.template("snapshotted", "native", model.config(model_address), volume=spec))
    yield release
    kubectl("delete", "tenant", "sara", "simon", "tina", *where, "--ignore-not-found", "--wait=false")
    kubectl("delete", "volumesnapshot", NAME, *where)


async def test_tenants_get_what_was_snapshotted(prepared: Release, cli: MakeCli) -> None:
    await says(prepared, "tenanttemplate", "snapshotted", "SourceFound", f"VolumeSnapshot '{NAME}'")
    prepared.apply(prepared.tenant("sara", "snapshotted"))
    await prepared.provisioned("sara")
    assert (await cli("sara").call("health", timeout=180)).ok().json["ok"] is True
    assert prepared.in_gateway("sara", *WELCOME) == "Made for you.\n"
    prepared.in_gateway("sara", "sh", "-c", "echo mine > /state/workspace/of-sara")

    # What is done to the claim afterwards reaches nobody.
    kubectl, where = prepared.cluster.kubectl, ("-n", prepared.tenants)
    assert prepared.cluster.provider
    prepared.apply(pod("spoil", prepared.cluster.provider.python_image, SPOIL, volume=NAME))
    kubectl.wait("jsonpath={.status.phase}=Succeeded", "pod/spoil", *where, timeout=SOON)
    await starts_fresh(prepared, "simon")
    kubectl("delete", "pod", "spoil", *where)
    kubectl("delete", "pvc", NAME, *where)
    await starts_fresh(prepared, "tina")


async def starts_fresh(release: Release, name: str) -> None:
    """Make a tenant, wake it, and see that its volume is as the snapshot was."""
    release.apply(release.tenant(name, "snapshotted"))
    await release.provisioned(name)
    async with release.client(name):
        assert release.in_gateway(name, *WELCOME) == "Made for you.\n"
        assert "of-sara" not in release.in_gateway(name, "ls", "/state/workspace")


async def test_a_template_that_is_smaller_than_its_snapshot_says_so(prepared: Release, model_address: str) -> None:
    small = volume(prepared, NAME, "512Mi")
    prepared.apply(prepared.template("small", "native", model.config(model_address), volume=small))
    await says(prepared, "tenanttemplate", "small", "SizeTooSmall", f"'{NAME}' has 1Gi")


async def test_a_snapshot_that_is_missing_is_named(release: Release, model_address: str) -> None:
    missing = volume(release, "nowhere")
    release.apply(release.template("unfound", "native", model.config(model_address), volume=missing))
    release.apply(release.tenant("nora", "unfound"))
    await says(release, "tenanttemplate", "unfound", "SourceNotFound", "no VolumeSnapshot 'nowhere'")
    # The provisioner's own words, although Kubernetes says after them that it waits for the provisioner.
    await says(release, "tenant", "nora", "ProvisioningFailed", '"nowhere" not found')
    release.cluster.kubectl("delete", "tenant", "nora", "-n", release.tenants, "--wait=false")


async def test_a_snapshot_that_is_not_ready_is_waited_for(release: Release, model_address: str) -> None:
    kubectl, where = release.cluster.kubectl, ("-n", release.tenants)
    # Of a claim that is not there: it can't be taken yet.
    release.apply(snapshot("unready", "unprepared"))
    kubectl.wait("jsonpath={.status.error.message}", "volumesnapshot/unready", *where, timeout=SOON)
    template = release.template("unready", "native", model.config(model_address), volume=volume(release, "unready"))
    release.apply(template, release.tenant("lars", "unready"))
    await says(release, "tenanttemplate", "unready", "SourceNotReady", "'unready' is not ready to use: ")
    release.apply(claim("unprepared", release.storage_class))
    kubectl.wait(READY_TO_USE, "volumesnapshot/unready", *where, timeout=SOON)
    await says(release, "tenant", "lars", "Bound")
    async with release.client("lars") as client:
        assert await client.call("health")
    # It would look by itself within a minute.
    release.apply({**template, "spec": {**template["spec"], "version": "2"}})
    await says(release, "tenanttemplate", "unready", "SourceFound")
    kubectl("delete", "tenant", "lars", *where, "--wait=false")
    kubectl("delete", "volumesnapshot", "unready", *where)
