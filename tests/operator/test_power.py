"""power: AlwaysOn and Suspended."""

from __future__ import annotations

from operator_world import SOON, World, eventually, template, tenant


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
