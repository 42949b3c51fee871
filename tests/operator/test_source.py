"""What a template says of the claim or snapshot that its volumes start as copies of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_process import parts
from operator_world import World, template, tenant

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
