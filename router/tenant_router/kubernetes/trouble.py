"""Why a pod can't come, in the cluster's own words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .objects import ContainerStatus, Pod


class Cause(StrEnum):
    """Kinds of trouble: the label of the metric, so their number is bounded."""

    SUSPENDED = "suspended"
    NOT_PROVISIONED = "not_provisioned"
    REFUSED = "refused"
    """The API server refused the router's own request."""
    UNREACHABLE = "api_unreachable"
    QUOTA = "quota"
    FORBIDDEN = "pod_refused"
    """Something other than a quota keeps the pod from being made: Pod Security, a webhook."""
    NO_NODE = "no_node"
    VOLUME = "volume"
    IMAGE = "image"
    CONTAINER = "container"
    CRASH = "crash"
    FAILED = "pod_failed"
    SLOW = "timeout"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong."""

    cause: Cause
    text: str
    patient: bool = False
    """It may pass by itself within seconds (a claim that is just being bound, a mount that is tried again)."""
    lasting: bool = False
    """It does not pass before a person has mended something."""


_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_CONTAINER = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PostStartHookError",
    }
)
"""Reasons of a waiting container that kubelets give (kubernetes/pkg/kubelet/images and kuberuntime)."""
_LASTING = frozenset({"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"})
"""Those of them that no other node or registry changes: no such name, a Secret or a key of it that is missing."""
CONFIG_REFUSED = 78
"""Exit code of both runtimes that refuse their config (openclaw-protocol 2.5)."""
_VOLUME_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume", "VolumeResizeFailed"})


def pod_trouble(pod: Pod) -> Trouble | None:
    """Return what a pod's own status says is wrong."""
    status = pod.status
    if status.phase in ("Failed", "Succeeded"):
        return Trouble(Cause.FAILED, _join(f"the pod has {status.phase.lower()}", status.reason, status.message))
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False" and condition.reason == "Unschedulable":
            message = condition.message or ""
            cause = Cause.VOLUME if "persistentvolumeclaim" in message.lower() else Cause.NO_NODE
            return Trouble(cause, _join("no node takes the pod", condition.reason, message), patient=True)
    for container in status.container_statuses or ():
        if (found := _container_trouble(container)) is not None:
            return found
    return None


def _container_trouble(container: ContainerStatus) -> Trouble | None:
    state = container.state
    waiting = state.waiting if state is not None else None
    if waiting is None:
        return None
    lasting = waiting.reason in _LASTING
    if waiting.reason in _IMAGE:
        text = _join("the image can't be had", waiting.reason, waiting.message)
        return Trouble(Cause.IMAGE, text, lasting=lasting)
    if waiting.reason in _CONTAINER:
        text = _join("the container can't be made", waiting.reason, waiting.message)
        return Trouble(Cause.CONTAINER, text, lasting=lasting)
    if waiting.reason == "CrashLoopBackOff":
        last = container.last_state.terminated if container.last_state is not None else None
        how = ""
        if last is not None:
            how = _join(f"its last exit had code {last.exit_code}", last.reason, last.message)
        text = _join(f"the gateway ended {container.restart_count} times", waiting.reason, how)
        return Trouble(Cause.CRASH, text, lasting=last is not None and last.exit_code == CONFIG_REFUSED)
    return None


def event_trouble(reason: str, message: str) -> Trouble | None:
    """Return what a Warning event about a pod, or about the ReplicaSet that should make one, says is wrong."""
    if reason == "FailedCreate":
        cause = Cause.QUOTA if "exceeded quota" in message else Cause.FORBIDDEN
        return Trouble(cause, _join("the pod can't be made", reason, message))
    if reason in _VOLUME_EVENTS:
        return Trouble(Cause.VOLUME, _join("the volume can't be mounted", reason, message), patient=True)
    if reason == "ProvisioningFailed":
        return Trouble(Cause.VOLUME, _join("the volume can't be made", reason, message), patient=True)
    return None


def _join(what: str, reason: str, message: str) -> str:
    return ": ".join(part for part in (what, reason, " ".join(message.split())) if part)
