"""Tenant.status from what is known: phase, conditions, pod, times, usage. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..cache.records import PodRecord, TenantView
from ..life import Life
from ..times import clock, lasting, parsed, rfc3339
from .acceptance import Accepted, Refused
from .conditions import Statement, condition, conditions
from .provisioning import Provisioning

COARSE: Final = 600.0
"""Seconds: `lastActiveTime` of an awake tenant is no older than this; a write for each request would be one for nothing."""

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_WAKES = {
    "Connection": "a client wants it",
    "Timer": "its own schedule wants it",
    "AlwaysOn": "spec.power is AlwaysOn",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one reconcile found out."""

    view: TenantView
    verdict: Accepted | Refused
    provisioning: Provisioning
    volume: Statement
    life: Life
    next_wake: float
    """Seconds since 1970; 0: none."""
    now: float


def tenant_status(look: Look, before: dict[str, Any]) -> dict[str, Any]:
    """Return the status of a tenant, with as little changed as is true."""
    tenant = look.view.tenant
    assert tenant is not None
    phase = _phase(look)
    statements = [
        _accepted(look),
        look.provisioning.statement,
        look.volume,
        _awake(look, phase, before),
        _idle(look, phase, before),
    ]
    status: dict[str, Any] = {
        "phase": phase,
        "observedGeneration": tenant.generation,
        "conditions": conditions(statements, before.get("conditions") or [], tenant.generation, look.now),
    }
    pod = look.view.pod
    if pod is not None:
        status["pod"] = {"name": pod.name, "uid": pod.uid, "ip": pod.ip}
    if look.next_wake:
        status["nextWakeTime"] = rfc3339(look.next_wake)
    if version := look.provisioning.template_version:
        status["templateVersion"] = version
    if usage := _usage(phase, before, look.now):
        status["usage"] = usage
    _coarse(status, look, before)
    return status


def _phase(look: Look) -> str:
    deployment, pods = look.view.deployment, look.view.pods
    tenant = look.view.tenant
    assert tenant is not None
    if isinstance(look.verdict, Refused) and (deployment is None or look.verdict.reason == "TokenTaken"):
        return "Failed"
    if look.provisioning.failed and (deployment is None or look.view.claim is None):
        return "Failed"
    if deployment is None:
        return "Asleep"
    suspended = tenant.power == "Suspended"
    if deployment.replicas == 0:
        if any(pod.phase not in ("Succeeded", "Failed") for pod in pods):
            return "Suspending"
        return "Suspended" if suspended else "Asleep"
    if suspended:
        return "Suspending"
    pod = look.view.pod
    return "Awake" if pod is not None and pod.ready else "Waking"


def _accepted(look: Look) -> Statement:
    if isinstance(look.verdict, Refused):
        return Statement.of("Accepted", False, look.verdict.reason, look.verdict.message)
    template = look.verdict.template
    return Statement.of("Accepted", True, "Accepted", f"made from TenantTemplate {template.name}")


def _awake(look: Look, phase: str, before: dict[str, Any]) -> Statement:
    deployment, pod = look.view.deployment, look.view.pod
    if phase == "Awake" and pod is not None:
        old = condition(before, "Awake")
        if old.get("status") == "True":
            return Statement.of("Awake", True, str(old.get("reason")), str(old.get("message")))
        return Statement.of("Awake", True, look.life.wake_reason, f"awake: {_WAKES[look.life.wake_reason]}")
    if deployment is not None and deployment.replicas > 0 and phase == "Waking":
        reason, message = wake_trouble(deployment.failure, pod) or ("Waking", _WAKES[look.life.wake_reason])
        return Statement.of("Awake", False, reason, message)
    if phase == "Suspended":
        return Statement.of("Awake", False, "Suspended", "spec.power is Suspended: every connection is refused")
    if phase == "Failed":
        return Statement.of("Awake", False, "Failed", "it can't be woken before it is provisioned")
    return Statement.of("Awake", False, phase, "no pod" if phase == "Asleep" else "its pod is ending")


def wake_trouble(failure: str, pod: PodRecord | None) -> tuple[str, str] | None:
    """Return reason and message of what keeps a wake from succeeding, in the cluster's own words."""
    if pod is None:
        if not failure:
            return None
        return ("QuotaExceeded" if "exceeded quota" in failure else "PodRefused"), failure
    if pod.trouble is None:
        return None
    reason, message = pod.trouble
    if reason in _IMAGE:
        return "ImageUnavailable", f"{reason}: {message}"
    return reason, message


def _idle(look: Look, phase: str, before: dict[str, Any]) -> Statement:
    life = look.life
    if phase in ("Asleep", "Suspended", "Suspending", "Failed"):
        old = condition(before, "Idle")
        if life.slept and life.idle is not None:
            return Statement.of("Idle", True, *life.idle)
        if old.get("status") == "True":
            return Statement.of("Idle", True, str(old.get("reason")), str(old.get("message")))
        return Statement.of("Idle", True, "NeverWoken" if not before.get("usage") else "Asleep", _asleep(look))
    if look.view.tenant is not None and look.view.tenant.power == "AlwaysOn":
        return Statement.of("Idle", False, "AlwaysOn", "spec.power is AlwaysOn: it never sleeps")
    if life.idle is not None and not life.slept:
        return Statement.of("Idle", False, *life.idle)
    return Statement.of("Idle", False, "Active", "it was woken, and its idle timeout has not passed since")


def _asleep(look: Look) -> str:
    timer = f"; next timer {clock(look.next_wake)}" if look.next_wake else ""
    return f"nobody has talked to it{timer}"


def asleep_message(now: float, idle_for: float, parked: int, next_wake: float) -> str:
    """Return why a tenant sleeps, for its condition."""
    clients = f", {parked} clients parked" if parked else ""
    timer = f", next timer {clock(next_wake)}" if next_wake else ""
    return f"asleep since {clock(now)}: {sleep_note(idle_for)}{clients}{timer}"


def sleep_note(idle_for: float) -> str:
    """Return the part of it that is the same for each sleep, for the Event."""
    return f"idle {lasting(idle_for)}"


def _usage(phase: str, before: dict[str, Any], now: float) -> dict[str, int] | None:
    """Count a wake when it begins and its seconds when it ends, from the status alone: nothing is lost by a restart."""
    usage = dict(before.get("usage") or {})
    was = before.get("phase")
    up = ("Waking", "Awake")
    if phase in up and was not in up:
        usage["wakes"] = int(usage.get("wakes") or 0) + 1
        usage.setdefault("awakeSeconds", 0)
    awake = condition(before, "Awake")
    if awake.get("status") == "True" and phase != "Awake":
        since = parsed(awake.get("lastTransitionTime"))
        usage["awakeSeconds"] = int(usage.get("awakeSeconds") or 0) + max(0, int(now - since))
    return usage or None


def _coarse(status: dict[str, Any], look: Look, before: dict[str, Any]) -> None:
    """Fill in what changes all the time, and alone is no reason for a write."""
    last = parsed(before.get("lastActiveTime"))
    seen = look.life.last_request
    changed = any(status.get(key) != before.get(key) for key in ("phase", "conditions", "pod"))
    if seen > last and (changed or seen - last >= COARSE):
        status["lastActiveTime"] = rfc3339(seen)
        changed = True
    elif last:
        status["lastActiveTime"] = before["lastActiveTime"]
    if changed and status["phase"] in ("Awake", "Waking"):
        status["connections"] = look.life.connections
    elif changed and "connections" in before:
        status["connections"] = look.life.parked
    elif "connections" in before:
        status["connections"] = before["connections"]
