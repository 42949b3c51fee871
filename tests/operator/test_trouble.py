"""What keeps a tenant from being provisioned or woken is said in the cluster's own words."""

from __future__ import annotations

import json

from operator_world import SOON, World, eventually, template, tenant

from tenant_api.kubernetes_names import child_name


def quota(**hard: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}}


def storage_class(here: World, binding: str) -> str:
    name = f"{here.namespace}-{binding.lower()}"
    here.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "nobody.example",
            "volumeBindingMode": binding,
        }
    )
    return name


async def test_quota_that_forbids_the_pod(here: World) -> None:
    here.start()
    here.apply(quota(pods="0"))
    await eventually(lambda: "hard" in here.items("resourcequotas")[0].get("status", {}), SOON)
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    message = await here.said("ann", "Awake", "False", "QuotaExceeded")
    assert "exceeded quota: small" in message
    assert here.status("ann")["phase"] == "Waking"


def provisioner_fails(here: World, name: str, message: str) -> None:
    """Say so of a tenant's claim, as a provisioner would."""
    metadata = (here.get("persistentvolumeclaims", child_name(name)) or {})["metadata"]
    claim = {key: metadata[key] for key in ("namespace", "name", "uid")}
    here.apply(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "failed"},
            "involvedObject": {"kind": "PersistentVolumeClaim", **claim},
            "reason": "ProvisioningFailed",
            "message": message,
            "type": "Warning",
            "lastTimestamp": metadata["creationTimestamp"],
        }
    )


async def test_quota_that_forbids_the_claim(here: World) -> None:
    here.start()
    here.apply(quota(persistentvolumeclaims="0"))
    await eventually(lambda: "hard" in here.items("resourcequotas")[0].get("status", {}), SOON)
    here.apply(template(), tenant("ann"))
    assert "exceeded quota: small" in await here.said("ann", "Provisioned", "False", "QuotaExceeded")
    await here.phase("ann", "Failed")
    here.delete("resourcequotas", "small")
    await here.phase("ann", "Asleep")


async def test_claim_that_cannot_bind(here: World) -> None:
    here.start()
    here.apply(template(volume={"size": "1Gi", "storageClassName": "not-there"}), tenant("ann"))
    message = await here.said("ann", "VolumeReady", "False", "ProvisioningFailed")
    assert "not-there" in message and "not found" in message


async def test_why_the_storage_failed_is_not_hidden_by_that_it_is_at_work(here: World) -> None:
    here.start()
    name = storage_class(here, "Immediate")
    here.apply(template(volume={"size": "1Gi", "storageClassName": name}), tenant("ann"))
    # Kubernetes' own controller says so of a class with another's provisioner, and again every 15 seconds.
    await here.said("ann", "VolumeReady", "False", "ExternalProvisioning")
    # What the provisioner has said before that; it tries again in a minute.
    provisioner_fails(here, "ann", "there is no snapshot golden")
    said = await here.said("ann", "VolumeReady", "False", "ProvisioningFailed")
    assert said == "there is no snapshot golden"


async def test_volume_that_waits_for_its_first_use_is_no_error(here: World) -> None:
    here.start()
    name = storage_class(here, "WaitForFirstConsumer")
    here.apply(template(volume={"size": "1Gi", "storageClassName": name}), tenant("ann"))
    message = await here.said("ann", "VolumeReady", "Unknown", "WaitForFirstConsumer")
    assert "first wake includes the clone" in message
    assert here.status("ann")["phase"] == "Asleep"
    assert here.items("pods") == []


async def test_what_the_storage_says_at_the_first_use_is_told(here: World) -> None:
    here.start()
    name = storage_class(here, "WaitForFirstConsumer")
    here.apply(template(volume={"size": "1Gi", "storageClassName": name}), tenant("ann"))
    await here.said("ann", "VolumeReady", "Unknown", "WaitForFirstConsumer")
    here.scale("ann", 1)
    await here.phase("ann", "Waking")
    # What else is said of it is older; Events have whole seconds.
    here.cluster.kubectl("delete", "events", "-n", here.namespace, "--field-selector", "reason=WaitForFirstConsumer")
    provisioner_fails(here, "ann", "the pool is full")
    assert await here.said("ann", "VolumeReady", "False", "ProvisioningFailed") == "the pool is full"
    here.scale("ann", 0)
    await here.said("ann", "VolumeReady", "Unknown", "WaitForFirstConsumer")


async def test_prebind_runs_a_pod_once(here: World) -> None:
    here.start()
    name = storage_class(here, "WaitForFirstConsumer")
    here.apply(template(volume={"size": "1Gi", "storageClassName": name, "prebind": True}), tenant("ann"))
    await here.said("ann", "VolumeReady", "Unknown", "Prebinding")
    pod = here.items("pods")[0]
    assert pod["metadata"]["name"] == f"{child_name('ann')}-prebind"
    # What provisioner and kubelet do.
    here.provide_volume("ann", name)
    here.patch("pods", pod["metadata"]["name"], {"status": {"phase": "Succeeded"}}, "status")
    await here.said("ann", "VolumeReady", "True", "Bound")
    await eventually(lambda: here.items("pods") == [], SOON)


async def test_image_that_is_not_there(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    pod = await here.pod("ann")
    waiting = {"reason": "ErrImagePull", "message": 'failed to pull "localhost/gateway:test": not found'}
    container = {"name": "gateway", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Pending", "containerStatuses": [{**container, "state": {"waiting": waiting}}]}
    here.patch("pods", pod["metadata"]["name"], {"status": status}, "status")
    assert "ErrImagePull: failed to pull" in await here.said("ann", "Awake", "False", "ImageUnavailable")
    await eventually(lambda: [one for one in here.items("events") if one["reason"] == "ImageUnavailable"], SOON)


async def test_a_pod_passes_the_restricted_level(here: World) -> None:
    """The namespace enforces it: a pod that does not would not have been made, and its ReplicaSet would say so."""
    here.start()
    here.apply(template(), tenant("ann", credentials={"secretRef": {"name": "keys"}}))
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    pod = await here.pod("ann")
    assert pod["spec"]["automountServiceAccountToken"] is False
    labels = here.cluster.kubectl.get("namespace", here.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted", json.dumps(labels)
