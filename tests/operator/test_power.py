"""power: AlwaysOn and Suspended."""

from __future__ import annotations

import time

import pytest
from operator_world import SOON, World, eventually, template, tenant

from tenant_operator.times import rfc3339


async def test_suspended_from_the_start_is_provisioned_and_stays_asleep(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann", power="Suspended"))
    await here.phase("ann", "Suspended")
    message = await here.said("ann", "Awake", "False", "Suspended")
    assert "refused" in message
    assert here.replicas("ann") == 0


async def test_suspending_an_awake_tenant_stops_its_pod(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    pod = await here.play_kubelet("ann")
    status = await here.phase("ann", "Awake")
    assert status["pod"] == {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"], "ip": "10.9.8.7"}
    assert status["usage"] == {"wakes": 1, "awakeSeconds": 0}

    here.patch("tenants", "ann", {"spec": {"power": "Suspended"}})
    await eventually(lambda: here.replicas("ann") == 0, SOON)
    here.pod_is_gone(pod)
    status = await here.phase("ann", "Suspended")
    assert "pod" not in status
    await here.said("ann", "Idle", "True", "Suspended")

    here.patch("tenants", "ann", {"spec": {"power": "Auto"}})
    await here.phase("ann", "Asleep")
    assert here.replicas("ann") == 0


async def test_always_on_is_woken_and_woken_again(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann", power="AlwaysOn"))
    await here.phase("ann", "Waking")
    await here.play_kubelet("ann")
    await here.phase("ann", "Awake")
    await here.said("ann", "Awake", "True", "AlwaysOn")
    await here.said("ann", "Idle", "False", "AlwaysOn")
    here.scale("ann", 0)
    await eventually(lambda: here.replicas("ann") == 1, SOON)


async def test_cpu_of_the_start_is_taken_back_in_place(here: World) -> None:
    here.start()
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}
    here.apply(template(resources=resources, wake={"cpuLimit": "2000m"}), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    pod = await here.pod("ann")
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "2", "memory": "128Mi"}
    await here.play_kubelet("ann")

    async def calm() -> bool:
        now = await here.pod("ann")
        assert now["metadata"]["uid"] == pod["metadata"]["uid"]
        return bool(now["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "128Mi"})

    await eventually(calm, SOON)
    await here.phase("ann", "Awake")
    # Neither that nor the next start is drift.
    assert here.status("ann")["conditions"][1]["reason"] == "Provisioned"


def break_something(here: World, what: str, power: str) -> None:
    """Have tenant ann, who is provisioned, no longer accepted."""
    if what == "OverlayInvalid":
        here.apply(tenant("ann", power=power, config={"gateway": {"port": 1}}))
    elif what == "TemplateVersionNotFound":
        here.apply(tenant("ann", power=power, templateRef={"name": "standard", "version": "1"}), template(version="2"))
    elif what == "TemplateInvalid":
        here.apply(template(config="{"))
    else:
        here.delete("tenanttemplates", "standard")


REFUSALS = ("OverlayInvalid", "TemplateVersionNotFound", "TemplateInvalid", "TemplateNotFound")


@pytest.mark.parametrize("reason", REFUSALS)
async def test_always_on_holds_for_who_is_refused_after_he_was_provisioned(here: World, reason: str) -> None:
    here.start()
    here.apply(template(), tenant("ann", power="AlwaysOn"))
    await here.phase("ann", "Waking")
    break_something(here, reason, "AlwaysOn")
    await here.said("ann", "Accepted", "False", reason)
    here.scale("ann", 0)
    await eventually(lambda: here.replicas("ann") == 1, SOON)


@pytest.mark.parametrize("reason", REFUSALS)
async def test_timer_holds_for_who_is_refused_also_after_a_restart(here: World, reason: str) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    break_something(here, reason, "Auto")
    await here.said("ann", "Accepted", "False", reason)
    assert here.replicas("ann") == 0
    here.running[0].stop()
    here.patch("tenants", "ann", {"status": {"nextWakeTime": rfc3339(time.time() + 5)}}, "status")
    here.start()
    await eventually(lambda: here.replicas("ann") == 1, SOON)
    assert (await here.pod("ann"))["spec"]["containers"][0]["image"] == "localhost/gateway:test"


async def test_nobody_is_woken_whose_token_is_anothers(here: World) -> None:
    operator = here.start()
    here.apply(template(), tenant("old", "shared"))
    await here.phase("old", "Asleep")
    await here.second_later("old")
    here.apply(tenant("new", power="AlwaysOn"))
    await eventually(lambda: here.replicas("new") == 1, SOON)
    here.apply(tenant("new", "shared", power="AlwaysOn"))
    await here.said("new", "Accepted", "False", "TokenTaken")
    before = operator.reconciled()
    here.scale("new", 0)
    await eventually(lambda: operator.reconciled() > before, SOON)
    await here.said("new", "Awake", "False", "Failed")
    assert here.replicas("new") == 0
    here.apply(tenant("new", power="AlwaysOn"))
    await eventually(lambda: here.replicas("new") == 1, SOON)
