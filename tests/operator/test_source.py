"""What a template says of the claim or snapshot that its volumes start as copies of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from in_process import parts
from operator_world import World, template, tenant

from cluster.gotools import GoTools
from cluster.layout import Layout
from cluster.pods import snapshot
from cluster.progress import Progress
from cluster.storage.snapshots import apply_crds, delete_crds, ensure_crds
from tenant_api.template import TemplateVolume
from tenant_operator.apiserver.resources import CLAIM, SNAPSHOT, TEMPLATE, TENANT
from tenant_operator.keys import template_key
from tenant_operator.reconcile import template as module
from tenant_operator.reconcile.policies import Policies
from tenant_operator.reconcile.source import judge_source
from tenant_operator.reconcile.template import TemplateReconciler

VOLUME = TemplateVolume.model_validate({"size": "2Gi", "storageClassName": "fast"})
NAMED: dict[str, Any] = {"metadata": {"name": "golden"}}


def claim(size: str = "2Gi", phase: str = "Bound", **spec: Any) -> dict[str, Any]:
    """A claim that has a little more than it asked for, as storages round up."""
    status = {"phase": phase, "capacity": {"storage": size}} if phase == "Bound" else {"phase": phase}
    whole = {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {**NAMED, "spec": whole, "status": status}


@pytest.mark.parametrize(
    ("body", "status", "reason", "words"),
    [
        (claim(), "True", "SourceFound", ["'golden'"]),
        (claim("1Gi"), "True", "SourceFound", []),
        (
            claim("3Gi"),
            "False",
            "SizeTooSmall",
            ["spec.volume.size is 2Gi", "'golden' has 3Gi", "set it to 3Gi or more"],
        ),
        (claim(phase="Pending"), "False", "SourceNotReady", ["Pending", "bound"]),
        (claim(phase="Lost"), "False", "SourceNotReady", ["Lost"]),
        (claim(volumeMode="Block"), "False", "SourceIsBlock", ["file system"]),
        (
            claim(storageClassName="slow"),
            "True",
            "SourceFound",
            ["from storage class slow to fast", "same provisioner"],
        ),
        (
            {**claim(), "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
            "False",
            "SourceNotReady",
            ["being deleted"],
        ),
    ],
)
def test_claims(body: dict[str, Any], status: str, reason: str, words: list[str]) -> None:
    said = judge_source(CLAIM, "golden", body, VOLUME)
    assert (said.type, said.status, said.reason) == ("VolumeReady", status, reason)
    assert all(word in said.message for word in words), said.message


def test_a_claim_of_the_default_class_is_nothing_to_speak_of() -> None:
    volume = TemplateVolume.model_validate({"size": "2Gi"})
    assert "class" not in judge_source(CLAIM, "golden", claim(storageClassName="slow"), volume).message


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"readyToUse": True, "restoreSize": "2Gi"}, "SourceFound"),
        ({"readyToUse": True}, "SourceFound"),
        ({"readyToUse": True, "restoreSize": "5Gi"}, "SizeTooSmall"),
        ({"readyToUse": False, "restoreSize": "5Gi"}, "SourceNotReady"),
        ({}, "SourceNotReady"),
    ],
)
def test_snapshots(status: dict[str, Any], reason: str) -> None:
    assert judge_source(SNAPSHOT, "golden", {**NAMED, "status": status}, VOLUME).reason == reason


async def test_what_is_said_of_a_snapshot_by_the_kinds_that_clusters_have(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOURCE_AGAIN", 0.2)
    monkeypatch.setattr(module, "SOURCE_STILL", 0.2)
    kubectl = here.cluster.kubectl
    here.apply(template(volume={"size": "1Gi", "source": {"volumeSnapshot": {"name": "golden"}}}))
    here.apply(tenant("ann"))
    key = template_key(here.namespace, "standard")
    async with parts(here.cluster.kubeconfig, here.namespace, tmp_path, monkeypatch) as world:
        for resource, kind, name in ((TEMPLATE, "tenanttemplates", "standard"), (TENANT, "tenants", "ann")):
            world.cache.put(resource, here.get(kind, name) or {})
        reconciler = TemplateReconciler(
            world, Policies(world.api, world.cache, world.templates, world.settings.traffic)
        )

        async def says(reason: str, *words: str) -> None:
            """It is its turn again, and then this is said."""
            assert await world.queue.get() == key
            await reconciler.reconcile(key)
            world.queue.done(key)
            condition = here.condition("standard", "VolumeReady", "tenanttemplates")
            assert condition["reason"] == reason, condition
            assert all(word in condition["message"] for word in words), condition

        def is_now(**status: Any) -> None:
            """What snapshot-controller writes; the API server holds it to the CRD."""
            change = ("--subresource=status", "--type=merge", f"-p={json.dumps({'status': status})}")
            kubectl("patch", "volumesnapshot", "golden", "-n", here.namespace, *change)

        world.queue.add(key)
        await says("SourceNotFound", "this cluster has no VolumeSnapshots")
        layout, progress = Layout.default(), Progress()
        apply_crds(kubectl, ensure_crds(layout, GoTools(layout, progress), progress))
        try:
            await says("SourceNotFound", "no VolumeSnapshot 'golden'", here.namespace)
            here.apply(snapshot("golden", "prepared"))
            await says("SourceNotReady", "not ready to use")
            is_now(readyToUse=False, error={"message": "there is no claim prepared", "time": "2026-01-01T00:00:00Z"})
            await says("SourceNotReady", "not ready to use: there is no claim prepared")
            is_now(readyToUse=True, restoreSize="2Gi", error=None)
            await says("SizeTooSmall", "set it to 2Gi or more")
            is_now(restoreSize="1Gi", creationTime="2026-01-01T00:00:00Z", boundVolumeSnapshotContentName="content")
            await says("SourceFound", "copies of VolumeSnapshot 'golden'")
            finalizers = ("--type=merge", '-p={"metadata":{"finalizers":["example.com/in-use"]}}')
            kubectl("patch", "volumesnapshot", "golden", "-n", here.namespace, *finalizers)
            kubectl("delete", "volumesnapshot", "golden", "-n", here.namespace, "--wait=false")
            await says("SourceNotReady", "is being deleted")
            kubectl(
                "patch",
                *("volumesnapshot", "golden", "-n", here.namespace),
                *("--type=merge", '-p={"metadata":{"finalizers":null}}'),
            )
            await says("SourceNotFound", "no VolumeSnapshot 'golden'")
        finally:
            delete_crds(kubectl)


def bound_claim(here: World, size: str) -> None:
    """A claim as a storage has bound it."""
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": {"storage": size}}}
    here.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **NAMED, "spec": spec})
    volume = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "hostPath": {"path": "/nowhere"},
        "claimRef": {"namespace": here.namespace, "name": "golden"},
    }
    name = f"{here.namespace}-golden"
    here.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume})


async def test_a_template_asks_for_less_than_its_source_has(here: World) -> None:
    bound_claim(here, "2Gi")
    here.start()
    source = {"persistentVolumeClaim": {"claimName": "golden"}}
    here.cluster.kubectl.wait("jsonpath={.status.phase}=Bound", "pvc/golden", "-n", here.namespace)
    here.apply(template(volume={"size": "1Gi", "source": source}))
    message = await here.said("standard", "VolumeReady", "False", "SizeTooSmall", "tenanttemplates")
    assert "set it to 2Gi or more" in message
    here.apply(template(volume={"size": "2Gi", "source": source}))
    await here.said("standard", "VolumeReady", "True", "SourceFound", "tenanttemplates")


async def test_a_source_is_looked_for_again_while_somebody_uses_it(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOURCE_STILL", 0.2)
    bound_claim(here, "1Gi")
    here.cluster.kubectl.wait("jsonpath={.status.phase}=Bound", "pvc/golden", "-n", here.namespace)
    here.apply(template(volume={"size": "1Gi", "source": {"persistentVolumeClaim": {"claimName": "golden"}}}))
    here.apply(tenant("ann"))
    key = template_key(here.namespace, "standard")
    async with parts(here.cluster.kubeconfig, here.namespace, tmp_path, monkeypatch) as world:
        for resource, kind, name in ((TEMPLATE, "tenanttemplates", "standard"), (TENANT, "tenants", "ann")):
            world.cache.put(resource, here.get(kind, name) or {})
        policies = Policies(world.api, world.cache, world.templates, world.settings.traffic)
        reconciler = TemplateReconciler(world, policies)

        async def again() -> int:
            """Wait until it is its turn again; return how much was written since."""
            before = _writes(world.metrics)
            assert await world.queue.get() == key
            await reconciler.reconcile(key)
            world.queue.done(key)
            return _writes(world.metrics) - before

        world.queue.add(key)
        assert await again() == 1
        assert here.condition("standard", "VolumeReady", "tenanttemplates")["reason"] == "SourceFound"
        assert await again() == 0
        here.patch("persistentvolumeclaims", "golden", {"metadata": {"finalizers": None}})
        here.delete("persistentvolumeclaims", "golden")
        assert await again() == 1
        assert here.condition("standard", "VolumeReady", "tenanttemplates")["reason"] == "SourceNotFound"


def _writes(metrics: Any) -> int:
    samples = metrics.calls.collect()[0].samples
    return int(
        sum(one.value for one in samples if one.name.endswith("_total") and one.labels["verb"] not in ("get", "list"))
    )
