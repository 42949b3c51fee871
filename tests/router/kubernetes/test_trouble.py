"""Why a pod can't come, from statuses and events as kubelet, scheduler and controllers write them (Kubernetes 1.37)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tenant_router.kubernetes.objects import Pod
from tenant_router.kubernetes.scale import PodCantCome
from tenant_router.kubernetes.trouble import Cause, event_trouble, pod_trouble


def pod(**status: Any) -> Pod:
    return msgspec.convert({"metadata": {"name": "p"}, "status": status}, Pod)


def waiting(reason: str, message: str = "", **more: Any) -> Pod:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(phase="Pending", containerStatuses=[{"name": "gateway", "state": state, **more}])


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("ErrImageNeverPull", Cause.IMAGE),
        ("ImagePullBackOff", Cause.IMAGE),
        ("ErrImagePull", Cause.IMAGE),
        ("CreateContainerConfigError", Cause.CONTAINER),
    ],
)
def test_a_container_that_cannot_be_made_is_told_with_the_kubelets_words(reason: str, cause: Cause) -> None:
    found = pod_trouble(waiting(reason, "the kubelet's words"))
    assert found is not None
    assert found.cause is cause
    assert not found.patient
    assert reason in found.text
    assert "the kubelet's words" in found.text


@pytest.mark.parametrize(
    ("reason", "lasting"),
    [
        ("CreateContainerConfigError", True),  # a Secret that is missing, or a key of it
        ("InvalidImageName", True),
        ("ErrImagePull", False),  # a registry that is away
        ("RunContainerError", False),
    ],
)
def test_what_a_person_has_to_mend_is_told_from_what_may_pass(reason: str, lasting: bool) -> None:
    found = pod_trouble(waiting(reason))
    assert found is not None
    assert PodCantCome(found).lasting is lasting


@pytest.mark.parametrize(("code", "lasting"), [(78, True), (137, False)])
def test_a_config_that_is_refused_is_for_a_person_and_another_end_is_not(code: int, lasting: bool) -> None:
    found = pod_trouble(waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": code}}))
    assert found is not None
    assert found.lasting is lasting


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_a_container_on_its_way_is_no_trouble(reason: str) -> None:
    assert pod_trouble(waiting(reason)) is None


def test_a_crash_loop_tells_how_the_gateway_ended_last() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    found = pod_trouble(waiting("CrashLoopBackOff", "back-off 10s", restartCount=3, lastState=last))
    assert found is not None
    assert found.cause is Cause.CRASH
    assert "3 times" in found.text
    assert "137" in found.text
    assert "OOMKilled" in found.text


def unschedulable(message: str) -> Pod:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(phase="Pending", conditions=[condition])


def test_no_node_and_an_unbound_claim_are_told_apart_and_may_pass() -> None:
    node = pod_trouble(unschedulable("0/1 nodes are available: 1 Insufficient memory."))
    claim = pod_trouble(unschedulable("pod has unbound immediate PersistentVolumeClaims"))
    assert node is not None
    assert claim is not None
    assert (node.cause, claim.cause) == (Cause.NO_NODE, Cause.VOLUME)
    assert node.patient
    assert claim.patient


def test_an_evicted_pod_has_failed() -> None:
    found = pod_trouble(pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert found is not None
    assert found.cause is Cause.FAILED
    assert "low on resource" in found.text


def test_events_of_quota_admission_and_volume() -> None:
    quota = event_trouble("FailedCreate", 'Error creating: pods "x" is forbidden: exceeded quota: q, requested: pods=1')
    security = event_trouble("FailedCreate", 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted"')
    mount = event_trouble("FailedMount", 'MountVolume.SetUp failed for volume "config": secret "s" not found')
    assert quota is not None
    assert security is not None
    assert mount is not None
    assert (quota.cause, security.cause, mount.cause) == (Cause.QUOTA, Cause.FORBIDDEN, Cause.VOLUME)
    assert (quota.patient, mount.patient) == (False, True)
    assert event_trouble("Unhealthy", "Readiness probe failed") is None
