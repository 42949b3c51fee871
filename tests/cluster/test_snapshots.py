"""Snapshots on the node: they hold what the volume had, whatever becomes of it, and the driver answers as the CSI spec says."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from cluster.abilities import Ability
from cluster.fixtures import Cluster
from cluster.pods import READY_TO_USE, claim, pod, snapshot
from cluster.programs import run
from cluster.storage import setup as storage
from deadlines import eventually

POD_SECONDS = 60.0
GIB = 1 << 30
NOBODY = "00000000-0000-4000-8000-000000000000"

Driver = Callable[..., list[tuple[str, Any]]]
"""Takes (method, fields)s, gives (status code, answer or message)s."""


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-ec", script)


@pytest.mark.needs(Ability.SNAPSHOTS)
def test_a_snapshot_holds_what_the_volume_had_and_its_volumes_stay_apart(
    node_cluster: Cluster, node_namespace: str
) -> None:
    assert node_cluster.provider
    image, storage_class = node_cluster.provider.python_image, node_cluster.provider.storage_class
    kubectl, where = node_cluster.kubectl, ("-n", node_namespace)

    def make(*objects: dict[str, Any]) -> None:
        kubectl.apply(*objects, namespace=node_namespace)

    def runs(name: str, script: str, volume: str) -> str:
        """What a pod says that has run to its end."""
        make(pod(name, image, shell(script), volume=volume))
        kubectl.wait("jsonpath={.status.phase}=Succeeded", f"pod/{name}", *where, timeout=POD_SECONDS)
        return kubectl("logs", name, *where)

    make(claim("golden", storage_class))
    runs("fill", "echo first > /data/SOUL.md", "golden")
    make(snapshot("one", "golden"))
    kubectl.wait(READY_TO_USE, "volumesnapshot/one", *where)
    assert kubectl.get("volumesnapshot", "one", *where)["status"]["restoreSize"] == "1Gi"

    runs("change", "echo second > /data/SOUL.md; touch /data/later", "golden")
    make(claim("a", storage_class, from_snapshot="one"))
    assert runs("a1", "cat /data/SOUL.md; ls /data; echo mine > /data/SOUL.md", "a").split() == ["first", "SOUL.md"]
    kubectl("delete", "pods", "fill", "change", *where)
    kubectl("delete", "pvc", "golden", *where)
    make(claim("b", storage_class, from_snapshot="one"))
    assert runs("b1", "cat /data/SOUL.md", "b") == "first\n"

    content = kubectl.get("volumesnapshot", "one", *where)["status"]["boundVolumeSnapshotContentName"]
    kubectl("delete", "volumesnapshot", "one", *where)
    kubectl("wait", "--for=delete", f"volumesnapshotcontent/{content}", "--timeout=30s")
    assert runs("b2", "cat /data/SOUL.md", "b") == "first\n", "volumes outlive what they were made from"


@pytest.mark.needs(Ability.SNAPSHOTS)
async def test_a_claim_waits_for_its_snapshot(node_cluster: Cluster, node_namespace: str) -> None:
    assert node_cluster.provider
    storage_class = node_cluster.provider.storage_class
    kubectl, where = node_cluster.kubectl, ("-n", node_namespace)
    kubectl.apply(claim("early", storage_class, from_snapshot="one"), namespace=node_namespace)

    def said(reason: str, kind: str) -> str:
        events = kubectl.get("events", *where, f"--field-selector=reason={reason},involvedObject.kind={kind}")["items"]
        return " ".join(event["message"] for event in events)

    await eventually(lambda: '"one"' in said("ProvisioningFailed", "PersistentVolumeClaim"), POD_SECONDS)
    kubectl.apply(snapshot("one", "golden"), namespace=node_namespace)
    kubectl.wait("jsonpath={.status.error.message}", "volumesnapshot/one", *where)
    assert not kubectl.get("volumesnapshot", "one", *where)["status"].get("readyToUse")
    kubectl.apply(claim("golden", storage_class), namespace=node_namespace)
    kubectl.wait(READY_TO_USE, "volumesnapshot/one", *where, timeout=2 * POD_SECONDS)
    kubectl.wait("jsonpath={.status.phase}=Bound", "pvc/early", *where, timeout=2 * POD_SECONDS)


@pytest.fixture
def driver(node_cluster: Cluster) -> Driver:
    """The running driver."""
    assert node_cluster.scratch
    instance, node = node_cluster.scratch.instance, node_cluster.scratch.node

    def calls(*wanted: tuple[str, dict[str, Any]]) -> list[tuple[str, Any]]:
        argv = node.enter_command(storage.calls_command(instance.layout))
        said = run(argv, timeout=60, env=storage.driver_environment(instance), input=json.dumps(wanted))
        return [(code, answer) for code, answer in json.loads(said)]

    return calls


@pytest.mark.needs(Ability.PARTS, Ability.SNAPSHOTS)
def test_the_driver_answers_as_the_spec_says(driver: Driver) -> None:
    mark = secrets.token_hex(4)
    size = {"capacityRange": {"requiredBytes": GIB}}
    [(code, made)] = driver(("CreateVolume", {"name": f"v-{mark}", **size}))
    assert code == "OK"
    volume = made["volume"]["volumeId"]
    take = {"name": f"s-{mark}", "sourceVolumeId": volume}
    (code, taken), (again, same) = driver(("CreateSnapshot", take), ("CreateSnapshot", take))
    assert (code, again) == ("OK", "OK")
    assert same == taken
    snapshot_id = taken["snapshot"]["snapshotId"]
    assert taken["snapshot"]["readyToUse"] is True
    assert taken["snapshot"]["sizeBytes"] == str(GIB)
    assert taken["snapshot"]["sourceVolumeId"] == volume
    assert taken["snapshot"]["creationTime"].startswith("20")

    source = {"volumeContentSource": {"snapshot": {"snapshotId": snapshot_id}}}
    nowhere = {"volumeContentSource": {"snapshot": {"snapshotId": NOBODY}}}
    small = {"capacityRange": {"requiredBytes": GIB - 1}}
    larger = {"capacityRange": {"requiredBytes": GIB + 1}}
    refused = [
        ("NOT_FOUND", "CreateSnapshot", {"name": f"t-{mark}", "sourceVolumeId": NOBODY}),
        ("ALREADY_EXISTS", "CreateSnapshot", {**take, "sourceVolumeId": NOBODY}),
        ("INVALID_ARGUMENT", "CreateSnapshot", {"name": f"t-{mark}"}),
        ("INVALID_ARGUMENT", "CreateSnapshot", {"sourceVolumeId": volume}),
        ("INVALID_ARGUMENT", "DeleteSnapshot", {}),
        ("NOT_FOUND", "CreateVolume", {"name": f"w-{mark}", **size, **nowhere}),
        ("OUT_OF_RANGE", "CreateVolume", {"name": f"w-{mark}", **small, **source}),
        ("ALREADY_EXISTS", "CreateVolume", {"name": f"v-{mark}", **larger}),
        ("INVALID_ARGUMENT", "CreateVolume", {"name": f"w-{mark}", "volumeContentSource": {}}),
        ("INVALID_ARGUMENT", "DeleteVolume", {}),
        ("ABORTED", "ListSnapshots", {"startingToken": "x"}),
    ]
    answers = driver(*((method, fields) for _, method, fields in refused))
    assert [code for code, _ in answers] == [code for code, _, _ in refused], answers

    of_volume = ("ListSnapshots", {"sourceVolumeId": volume})
    calls = [
        ("CreateVolume", {"name": f"w-{mark}", **size, **source}),
        ("DeleteVolume", {"volumeId": volume}),
        of_volume,
        ("DeleteSnapshot", {"snapshotId": snapshot_id}),
        ("DeleteSnapshot", {"snapshotId": snapshot_id}),
        of_volume,
    ]
    answers = driver(*calls)
    assert [code for code, _ in answers] == ["OK"] * len(calls), answers
    copy, _, listed, _, _, after = (answer for _, answer in answers)
    assert copy["volume"]["contentSource"] == source["volumeContentSource"]
    assert [entry["snapshot"] for entry in listed["entries"]] == [taken["snapshot"]], "it outlives its volume"
    assert after == {}
    assert driver(("DeleteVolume", {"volumeId": copy["volume"]["volumeId"]})) == [("OK", {})]
