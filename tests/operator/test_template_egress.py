"""What a template opens to its own tenants: on a real API server, for pods that run, and gone with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from operator_world import SOON, World, eventually, template, tenant

from tenant_api.kubernetes_names import TEMPLATE_LABEL, child_name

LLM = "10.1.2.0/24:8080"
LONG = "t" * 63


def policy(here: World, name: str) -> dict[str, Any] | None:
    return here.get("networkpolicies", f"openclaw-gateways-{name}")


def opened(here: World, name: str) -> list[tuple[str, int]]:
    """What a template's policy opens; [] if there is none."""
    found = policy(here, name)
    rules = found["spec"].get("egress", []) if found else []
    return [(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) for rule in rules]


async def test_open_while_it_is_said_and_somebody_follows(here: World) -> None:
    operator = here.start()
    here.apply(template("open", egress=[LLM]), template(LONG, egress=["fd12::/64:1"]), template("plain"))
    here.apply(tenant("ann", template="open"), tenant("bob", template="plain"))
    for name in ("ann", "bob"):
        await here.phase(name, "Asleep")
    await eventually(lambda: opened(here, "open") == [("10.1.2.0/24", 8080)], SOON)
    assert (policy(here, "plain"), policy(here, LONG)) == (None, None)

    # It reaches a pod that runs, which stays the same one, and asks for no change of the Deployment.
    here.scale("ann", 1)
    pod = await here.play_kubelet("ann")
    await here.phase("ann", "Awake")
    wears = (policy(here, "open") or {})["spec"]["podSelector"]["matchLabels"].items()
    assert wears <= pod["metadata"]["labels"].items()
    here.apply(template("open", egress=[LLM, "10.9.0.0/16:5432"]))
    await eventually(lambda: opened(here, "open") == [("10.1.2.0/24", 8080), ("10.9.0.0/16", 5432)], SOON)
    await here.said("ann", "Provisioned", "True", "Provisioned")
    assert (await here.pod("ann"))["metadata"]["uid"] == pod["metadata"]["uid"]

    # Who moves to another template while awake keeps what his pod was started with, until it is gone.
    here.apply(tenant("ann", template=LONG))
    await here.said("ann", "Provisioned", "True", "UpdateWaits")
    await eventually(lambda: opened(here, LONG) == [("fd12::/64", 1)], SOON)
    await here.followed("open", "no tenant is made from this template")
    assert opened(here, "open")
    here.scale("ann", 0)
    here.pod_is_gone(pod)
    await eventually(lambda: policy(here, "open") is None, SOON)

    def new_pods_wear() -> str:
        deployment = here.get("deployments", child_name("ann")) or {}
        return str(deployment["spec"]["template"]["metadata"]["labels"][TEMPLATE_LABEL])

    await eventually(lambda: new_pods_wear() == LONG, SOON)

    # And what nobody says any more goes, the template or only its egress.
    here.apply(template(LONG), template("plain", egress=[LLM]))
    await eventually(lambda: policy(here, LONG) is None and opened(here, "plain"), SOON)
    here.delete("tenanttemplates", "plain")
    await eventually(lambda: policy(here, "plain") is None, SOON)
    assert here.get("networkpolicies", "openclaw-gateways")
    assert operator.process.poll() is None


async def test_drift_is_repaired_and_a_restart_writes_nothing(here: World) -> None:
    here.start()
    here.apply(template(egress=[LLM]), tenant("ann"))
    await here.phase("ann", "Asleep")
    await here.said("ann", "VolumeReady", "False", "FailedBinding")
    await eventually(lambda: opened(here, "standard"), SOON)
    await here.followed("standard", "1 tenants: 1 at version 1")
    here.running[0].stop()
    second = here.start()
    await eventually(second.leads, SOON)
    await eventually(lambda: second.reconciled() >= 1 and second.calls("list") > 0, SOON)
    await here.followed("standard", "1 tenants: 1 at version 1")
    assert second.writes() == 0, second.health("/metrics")[1].decode()
    second.stop()

    # What an administrator changed, and a policy of a template that went while nobody looked.
    here.patch("networkpolicies", "openclaw-gateways-standard", {"spec": {"egress": []}})
    stale = policy(here, "standard")
    assert stale
    labels = {**stale["metadata"]["labels"], TEMPLATE_LABEL: "gone"}
    here.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "openclaw-gateways-gone", "labels": labels},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
        }
    )
    here.start()
    await eventually(lambda: opened(here, "standard") == [("10.1.2.0/24", 8080)], SOON)
    await eventually(lambda: policy(here, "gone") is None, SOON)


async def test_the_api_server_stays_closed(here: World) -> None:
    server = here.cluster.api.request("GET", "/api")["serverAddressByClientCIDRs"][0]["serverAddress"]
    host, _, port = server.rpartition(":")
    here.start()
    here.apply(template(egress=[LLM]), tenant("ann"))
    await here.phase("ann", "Asleep")
    await eventually(lambda: opened(here, "standard"), SOON)
    here.apply(template(egress=[f"{host}/32:{port}"]))
    message = await here.said("standard", "Accepted", "False", "EgressRefused", "tenanttemplates")
    assert f"opens the API server at {host} port {port}" in message
    # What cannot be used changes nothing.
    assert opened(here, "standard") == [("10.1.2.0/24", 8080)]


async def test_named_addresses_of_the_api_server_are_left_out_of_what_is_public(here: World) -> None:
    here.start(APISERVER_ADDRESSES="203.0.113.7:443,[2001:db8::7]:443")

    def excepted() -> list[list[str]]:
        found = here.get("networkpolicies", "openclaw-gateways")
        assert found
        return [block["ipBlock"]["except"] for block in found["spec"]["egress"][1]["to"]]

    v4, v6 = await eventually(excepted, SOON) or ([], [])
    assert "203.0.113.7/32" in v4 and "2001:db8::7/128" in v6


@pytest.mark.parametrize("where", ["own", "called"])
async def test_own_egress_that_opens_the_api_server_ends_the_start(here: World, where: str) -> None:
    said = here.cluster.api.request("GET", "/api")["serverAddressByClientCIDRs"][0]["serverAddress"]
    address = said if where == "own" else here.cluster.url.removeprefix("https://")
    host, _, port = address.rpartition(":")
    operator = here.start(EGRESS=f"{LLM},{host}/32:{port}")
    await eventually(lambda: operator.process.poll() is not None, SOON)
    assert operator.process.returncode == 2
    last = operator.log.read_text().splitlines()[-1]
    assert last.startswith(
        f"tenant_operator: OPENCLAW_TENANCY_EGRESS has '{host}/32:{port}', which opens the API server"
    )
    assert here.items("networkpolicies") == []
