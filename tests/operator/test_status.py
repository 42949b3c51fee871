from __future__ import annotations

from typing import Any

import msgspec

from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_operator.cache.projection import deployment_record, pod_record, tenant_record
from tenant_operator.cache.records import TenantView
from tenant_operator.life import Life
from tenant_operator.reconcile.acceptance import Accepted, Refused
from tenant_operator.reconcile.conditions import MAX_MESSAGE, Statement, condition, conditions
from tenant_operator.reconcile.provisioning import Provisioning
from tenant_operator.reconcile.status import Look, asleep_message, tenant_status

NOW = 1_800_000_000.0
METADATA = {"namespace": "ns", "name": "ann", "uid": "u", "resourceVersion": "5", "generation": 3}
SPEC = {"userId": "42", "templateRef": {"name": "standard"}}
PROVISIONED = Provisioning(Statement.of("Provisioned", True, "Provisioned", ""), "7")
VOLUME = Statement.of("VolumeReady", True, "Bound", "")


def look(
    *,
    replicas: int | None = 0,
    pod: dict[str, Any] | None = None,
    life: Life | None = None,
    power: str = "Auto",
    verdict: Accepted | Refused | None = None,
    next_wake: float = 0.0,
    now: float = NOW,
    provisioning: Provisioning = PROVISIONED,
) -> Look:
    spec = {**SPEC, "power": power}
    child = {"namespace": "ns", "name": "openclaw-ann", "uid": "d", "labels": {"openclaw-tenancy.dev/tenant": "ann"}}
    deployment = (
        deployment_record({"metadata": child, "spec": {"replicas": replicas}}) if replicas is not None else None
    )
    pods = [pod_record({"metadata": {**child, "name": "p"}, **pod})] if pod is not None else []
    view = TenantView(tenant_record({"metadata": METADATA, "spec": spec}), deployment, None, None, pods)
    accepted = Accepted(
        Tenant.model_validate({"metadata": {"name": "ann"}, "spec": spec}),
        TenantTemplate.model_validate({"metadata": {"name": "standard"}, "spec": {"version": "7"}}),
        "i",
    )
    return Look(view, verdict or accepted, provisioning, VOLUME, life or Life(), next_wake, now)


READY = {
    "status": {
        "phase": "Running",
        "podIP": "1.2.3.4",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
}


def test_phases() -> None:
    def phase(**how: Any) -> str:
        return str(tenant_status(look(**how), {})["phase"])

    assert phase() == "Asleep"
    assert phase(replicas=1) == "Waking"
    assert phase(replicas=1, pod={"status": {"phase": "Pending"}}) == "Waking"
    assert phase(replicas=1, pod=READY) == "Awake"
    assert phase(replicas=0, pod=READY) == "Suspending"
    assert phase(power="Suspended") == "Suspended"
    assert phase(power="Suspended", replicas=1, pod=READY) == "Suspending"
    refused = Refused("OverlayInvalid", "x")
    assert phase(replicas=None, verdict=refused) == "Failed"
    assert phase(verdict=refused) == "Asleep"
    assert phase(verdict=Refused("TokenTaken", "x")) == "Failed"


def test_nothing_changes_when_nothing_has_changed() -> None:
    first = tenant_status(look(), {})
    assert tenant_status(look(now=NOW + 5000), first) == first
    awake = tenant_status(look(replicas=1, pod=READY, life=Life(last_request=NOW)), first)
    assert tenant_status(look(replicas=1, pod=READY, now=NOW + 60, life=Life(last_request=NOW + 60)), awake) == awake


def test_last_active_time_is_coarse() -> None:
    awake = tenant_status(look(replicas=1, pod=READY, life=Life(last_request=NOW)), {})
    assert awake["lastActiveTime"] == "2027-01-15T08:00:00Z"
    later = tenant_status(look(replicas=1, pod=READY, life=Life(last_request=NOW + 601), now=NOW + 602), awake)
    assert later["lastActiveTime"] == "2027-01-15T08:10:01Z"


def test_usage_counts_wakes_and_seconds_from_the_status_alone() -> None:
    asleep = tenant_status(look(), {})
    assert "usage" not in asleep
    waking = tenant_status(look(replicas=1, now=NOW + 10), asleep)
    assert waking["usage"] == {"wakes": 1, "awakeSeconds": 0}
    awake = tenant_status(look(replicas=1, pod=READY, now=NOW + 12), waking)
    assert awake["usage"] == {"wakes": 1, "awakeSeconds": 0}
    ending = tenant_status(look(pod=READY, now=NOW + 112), awake)
    assert ending["usage"] == {"wakes": 1, "awakeSeconds": 100}
    again = tenant_status(look(now=NOW + 113), ending)
    assert again["usage"] == {"wakes": 1, "awakeSeconds": 100}


def test_wake_says_why_and_what_is_in_its_way() -> None:
    timer = tenant_status(look(replicas=1, pod=READY, life=Life(wake_reason="Timer")), {})
    assert condition(timer, "Awake")["reason"] == "Timer"
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    stuck = tenant_status(look(replicas=1, pod={"status": {"phase": "Pending", "containerStatuses": [waiting]}}), {})
    assert condition(stuck, "Awake")["reason"] == "ImageUnavailable"
    homeless = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    stuck = tenant_status(look(replicas=1, pod={"status": {"phase": "Pending", "conditions": [homeless]}}), {})
    assert (condition(stuck, "Awake")["reason"], condition(stuck, "Awake")["message"]) == ("Unschedulable", "0/3 nodes")


def test_sleep_says_why_and_survives_a_restart() -> None:
    message = asleep_message(NOW, 900, 2, NOW + 7200)
    assert message == "asleep since 08:00 UTC: idle 15 min, 2 clients parked, next timer 10:00 UTC"
    slept = tenant_status(look(life=Life(slept=True, idle=("IdleTimeout", message)), next_wake=NOW + 7200), {})
    assert condition(slept, "Idle")["message"] == message
    assert slept["nextWakeTime"] == "2027-01-15T10:00:00Z"
    assert tenant_status(look(next_wake=NOW + 7200), slept) == slept


def test_conditions_keep_their_time_while_their_status_stays() -> None:
    before = conditions([Statement.of("A", True, "X", "x")], [], 1, NOW)
    after = conditions([Statement.of("A", True, "Y", "y"), Statement.of("B", True, "Z", "")], before, 2, NOW + 60)
    assert after[0] == {
        "type": "A",
        "status": "True",
        "reason": "Y",
        "message": "y",
        "observedGeneration": 2,
        "lastTransitionTime": "2027-01-15T08:00:00Z",
    }
    assert after[1]["lastTransitionTime"] == "2027-01-15T08:01:00Z"
    changed = conditions([Statement.of("A", False, "Y", "y\n " * 1000)], before, 2, NOW + 60)
    assert changed[0]["lastTransitionTime"] == "2027-01-15T08:01:00Z"
    assert len(changed[0]["message"]) == MAX_MESSAGE
    assert "\n" not in changed[0]["message"]


def test_records_take_any_object() -> None:
    bare = {"namespace": "ns", "name": "x", "uid": "u"}
    assert tenant_record({"metadata": bare}).tokens == ()
    assert tenant_record({"metadata": bare, "spec": {"tokens": [{"sha256": "zz"}, {}, None]}}).tokens == ()
    assert deployment_record({"metadata": bare}).replicas == 0
    assert pod_record({"metadata": bare}).phase == "Pending"
    noisy = {
        **bare,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "…", "a": "b"},
        "managedFields": [1],
    }
    kept = msgspec.json.decode(tenant_record({"metadata": noisy, "spec": SPEC}).source)
    assert kept == {"metadata": {**bare, "annotations": {"a": "b"}}, "spec": SPEC}
