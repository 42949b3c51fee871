"""A template and tenants become objects of Kubernetes, asleep."""

from __future__ import annotations

from operator_world import SOON, World, eventually, template, tenant

from tenant_api.kubernetes_names import child_name


async def test_tenant_becomes_three_objects_and_sleeps(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    status = await here.phase("ann", "Asleep")
    name = child_name("ann")
    deployment, claim, secret = (here.get(kind, name) for kind in ("deployments", "persistentvolumeclaims", "secrets"))
    assert deployment and claim and secret
    assert deployment["spec"]["replicas"] == 0
    owners = {child["metadata"]["ownerReferences"][0]["uid"] for child in (deployment, claim, secret)}
    assert owners == {(here.get("tenants", "ann") or {})["metadata"]["uid"]}
    assert here.items("pods") == []
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Accepted": "True",
        "Provisioned": "True",
        "VolumeReady": "Unknown",
        "Awake": "False",
        "Idle": "True",
    }
    assert status["templateVersion"] == "1"
    assert here.config("ann")["gateway"]["port"] == 18789


async def test_namespace_has_its_policy_and_account(here: World) -> None:
    here.start()
    await eventually(lambda: here.get("networkpolicies", "openclaw-gateways"), SOON)
    account = await eventually(lambda: here.get("serviceaccounts", "openclaw-gateway"), SOON)
    assert account["automountServiceAccountToken"] is False
