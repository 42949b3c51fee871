"""A change never kills a running conversation."""

from __future__ import annotations

from typing import Any

from operator_world import SOON, World, eventually, template, tenant

from tenant_api.kubernetes_names import GROUP, child_name


def image(here: World) -> str:
    deployment = here.get("deployments", child_name("ann"))
    assert deployment
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


async def awake(here: World) -> dict[str, Any]:
    await here.phase("ann", "Asleep")
    here.scale("ann", 1)
    pod = await here.play_kubelet("ann")
    await here.phase("ann", "Awake")
    return pod


async def test_changed_template_reaches_a_sleeper_at_once_and_wakes_nobody(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.apply(template(version="2", image="localhost/gateway:2"))
    await eventually(lambda: here.status("ann").get("templateVersion") == "2", SOON)
    assert (image(here), here.replicas("ann")) == ("localhost/gateway:2", 0)
    # And once more after the router has owned the replicas.
    here.scale("ann", 1)
    here.scale("ann", 0)
    here.apply(template(version="3", image="localhost/gateway:3"))
    await eventually(lambda: here.status("ann").get("templateVersion") == "3", SOON)
    assert (image(here), here.replicas("ann")) == ("localhost/gateway:3", 0)


async def test_changed_template_waits_for_the_next_sleep_of_who_is_awake(here: World) -> None:
    here.start()
    here.apply(template(config='{ui: {name: "old"}}'), tenant("ann", config={"ui": {"accent": "a"}}))
    pod = await awake(here)
    here.apply(template(version="2", image="localhost/gateway:2", config='{ui: {name: "new"}}'))
    assert "version 2" in await here.said("ann", "Provisioned", "True", "UpdateWaits")
    deployment = here.get("deployments", child_name("ann"))
    assert deployment and f"{GROUP}/pending" in deployment["metadata"]["annotations"]
    assert (image(here), here.config("ann")["ui"]) == ("localhost/gateway:test", {"name": "old", "accent": "a"})

    # A changed overlay reaches the running gateway at once, on the template that it runs with.
    here.apply(tenant("ann", config={"ui": {"accent": "b"}}))
    await eventually(lambda: here.config("ann")["ui"] == {"name": "old", "accent": "b"}, SOON)
    assert here.replicas("ann") == 1
    assert (await here.pod("ann"))["metadata"]["uid"] == pod["metadata"]["uid"]

    here.scale("ann", 0)
    await eventually(lambda: image(here) == "localhost/gateway:2", SOON)
    await eventually(lambda: here.config("ann")["ui"] == {"name": "new", "accent": "b"}, SOON)
    await here.said("ann", "Provisioned", "True", "Provisioned")
    deployment = here.get("deployments", child_name("ann"))
    assert deployment and f"{GROUP}/pending" not in deployment["metadata"]["annotations"]
    assert here.replicas("ann") == 0


async def test_change_is_applied_to_who_is_awake_after_the_templates_deadline(here: World) -> None:
    here.start()
    here.apply(template(update={"deadline": "2s"}), tenant("ann"))
    await awake(here)
    here.apply(template(version="2", image="localhost/gateway:2", update={"deadline": "2s"}))
    await here.said("ann", "Provisioned", "True", "UpdateWaits")
    await eventually(lambda: image(here) == "localhost/gateway:2", SOON)
    assert here.replicas("ann") == 1


async def test_claim_that_cannot_grow_is_said(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.provide_volume("ann")
    await here.said("ann", "VolumeReady", "True", "Bound")
    # Without a storage class that can grow volumes the API server refuses, and the tenant says so.
    here.patch("tenants", "ann", {"spec": {"storage": {"size": "2Gi"}}})
    message = await here.said("ann", "Provisioned", "False", "ApplyForbidden")
    assert "resized" in message
    claim = here.get("persistentvolumeclaims", child_name("ann"))
    assert claim and claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert here.status("ann")["phase"] == "Asleep"


async def test_restart_of_the_operator_leaves_who_is_awake_as_he_is(here: World) -> None:
    here.start()
    here.apply(template(config='{ui: {name: "old"}}'), tenant("ann", config={"ui": {"accent": "a"}}))
    pod = await awake(here)
    here.apply(template(version="2", image="localhost/gateway:2", config='{ui: {name: "new"}}'))
    await here.said("ann", "Provisioned", "True", "UpdateWaits")
    here.running[0].stop()

    # The new one never saw the old template: nothing it does may reach the running gateway.
    second = here.start()
    await eventually(second.leads, SOON)
    await eventually(lambda: second.reconciled() >= 1, SOON)
    await here.said("ann", "Provisioned", "True", "UpdateWaits")
    assert (image(here), here.config("ann")["ui"]) == ("localhost/gateway:test", {"name": "old", "accent": "a"})

    # And a changed overlay is laid over what the gateway runs with, not over what waits.
    here.apply(tenant("ann", config={"ui": {"accent": "b"}}))
    await eventually(lambda: here.config("ann")["ui"]["accent"] == "b", SOON)
    assert here.config("ann")["ui"] == {"name": "old", "accent": "b"}
    await here.said("ann", "Provisioned", "True", "UpdateWaits")
    assert (image(here), here.replicas("ann")) == ("localhost/gateway:test", 1)
    assert (await here.pod("ann"))["metadata"]["uid"] == pod["metadata"]["uid"]

    here.scale("ann", 0)
    await eventually(lambda: here.config("ann")["ui"] == {"name": "new", "accent": "b"}, SOON)
    await eventually(lambda: image(here) == "localhost/gateway:2", SOON)
