"""What the chart refuses: a value by its schema, and values that are right alone and not together. Each names field and fix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from charts.rendering import CHART, Helm, Rendered, named, of_kind
from cluster.errors import CommandFailed
from tenant_api.durations import PATTERN, parse_duration

pytestmark = pytest.mark.cluster
INGRESS = "ingress.enabled=true,ingress.hosts={oc.example.com}"
ROUTE = "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("router.replica=3", "'replica' not allowed"),
        ("logLevel=info", "logLevel"),
        ("router.drainTimeout=30", "drainTimeout"),
        ("tenants.namespaces={Tenants}", "namespaces"),
        ("tenants.egress={10.0.0.1}", "egress"),
        ("tenants.imagePullSecrets={registry}", "imagePullSecrets"),
        ("tenants.imagePullSecrets[0].name=Registry", "imagePullSecrets"),
        ("tenants.imagePullSecrets[0].secret=registry", "imagePullSecrets"),
        ("router.trustedProxies={10.0.0.1}", "trustedProxies"),
        ("router.terminationGracePeriodSeconds=60s", "terminationGracePeriodSeconds"),
        ("router.service.externalTrafficPolicy=local", "externalTrafficPolicy"),
        ("networkPolicy.dnsPorts={dns}", "dnsPorts"),
        ("networkPolicy.dnsPorts={65536}", "dnsPorts"),
        ("networkPolicy.dnsPorts=null,networkPolicy.dnsPorts=[]", "dnsPorts"),
        ("networkPolicy.dnsAddresses={169.254.20.10}", "dnsAddresses"),
        ("prometheusRule.runbookUrl=docs/operate.md", "runbookUrl"),
        ("ingress.enabled=true", "hosts"),
        ("httpRoute.enabled=true", "parentRefs"),
    ],
)
def test_wrong_values_are_refused_by_name(rendered: Rendered, setting: str, says: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        rendered("--set", setting)
    assert says in str(failed.value)


@pytest.mark.parametrize("way", [INGRESS, ROUTE])
def test_a_way_in_needs_to_be_told_whom_to_believe(rendered: Rendered, way: str) -> None:
    """Else all clients have the controller's address, and a stranger's wrong tokens lock out everybody."""
    with pytest.raises(CommandFailed, match=r"router\.trustedProxies is empty.*Name the networks"):
        rendered("--set", way)
    objects = rendered("--set", way, "--set", "router.trustedProxies={10.244.0.0/16,fd00:1::/64}")
    assert of_kind(objects, "Ingress") + of_kind(objects, "HTTPRoute")


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0", "10.0.0.0/8,0.0.0.0/0"])
def test_nobody_is_believed_everything(rendered: Rendered, everybody: str) -> None:
    with pytest.raises(CommandFailed, match=r"router\.trustedProxies has (::|0\.0\.0\.0)/0"):
        rendered("--set", f"router.trustedProxies={{{everybody}}}")


@pytest.mark.parametrize("type", ["LoadBalancer", "NodePort"])
def test_a_service_can_keep_clients_addresses(rendered: Rendered, type: str) -> None:
    words = ("--set", f"router.service.type={type}")
    assert "externalTrafficPolicy" not in named(rendered(*words), "Service", "router")["spec"]
    kept = rendered(*words, "--set", "router.service.externalTrafficPolicy=Local")
    assert named(kept, "Service", "router")["spec"]["externalTrafficPolicy"] == "Local"
    assert "externalTrafficPolicy" not in named(kept, "Service", "router-admin")["spec"]


def test_a_service_inside_the_cluster_has_no_outside_traffic(rendered: Rendered) -> None:
    with pytest.raises(CommandFailed, match=r"router\.service\.externalTrafficPolicy.*set router\.service\.type"):
        rendered("--set", "router.service.externalTrafficPolicy=Local")


def grace(objects: list[dict[str, Any]]) -> int:
    return int(named(objects, "Deployment", "router")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])


@pytest.mark.parametrize("pre_stop", [1, 5, 90])
@pytest.mark.parametrize("drain", ["30s", "60s", "1m30s", "2m", "1h", "1h2m3s4ms", "250ms", "1500ms", "0s", "2000m"])
def test_sigkill_waits_for_the_drain(rendered: Rendered, drain: str, pre_stop: int) -> None:
    """However the router's own reader understands the duration."""
    words = ("--set", f"router.drainTimeout={drain},router.preStopSeconds={pre_stop}")
    least = grace(rendered(*words))
    assert 15 <= least - pre_stop - parse_duration(drain) < 16
    set_by_hand = "router.terminationGracePeriodSeconds"
    assert grace(rendered(*words, "--set", f"{set_by_hand}={least}")) == least
    assert grace(rendered(*words, "--set", f"{set_by_hand}={least + 100}")) == least + 100
    with pytest.raises(CommandFailed) as failed:
        rendered(*words, "--set", f"{set_by_hand}={least - 1}")
    for part in (set_by_hand, f"preStopSeconds ({pre_stop})", f"drainTimeout ({drain})", f"set {least} or more"):
        assert part in str(failed.value)


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(found := schema.get("pattern"), str):
            yield found
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


def test_durations_are_what_operator_and_router_read() -> None:
    found = [one for one in patterns(json.loads((CHART / "values.schema.json").read_text())) if "ms)" in one]
    assert found == [PATTERN] * len(found)
    assert len(found) == 4


def test_prometheus_is_not_shut_out_unawares(rendered: Rendered) -> None:
    watched = ("--set", "serviceMonitor.enabled=true")
    with pytest.raises(CommandFailed, match=r"networkPolicy\.metricsFrom is empty.*OpenClawRouterDown.*Name"):
        rendered(*watched)
    assert of_kind(rendered(*watched, "--set", "networkPolicy.enabled=false"), "ServiceMonitor")
    label = r"networkPolicy.metricsFrom.kubernetes\.io/metadata\.name=monitoring"
    objects = rendered(*watched, "--set", label)
    for component, port in (("router", 18790), ("operator", 18791)):
        (rule,) = (
            one
            for one in named(objects, "NetworkPolicy", component)["spec"]["ingress"]
            if one["ports"] == [{"protocol": "TCP", "port": port}]
        )
        assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}} in rule["from"]


def test_notes_say_whose_address_is_locked_out(helm: Helm, names: tuple[str, str]) -> None:
    def notes(settings: str) -> str:
        words = ("--dry-run=client", "--take-ownership", "--set", settings)
        return helm("install", "rel", str(CHART), "-n", names[0], *words).partition("NOTES:")[2]

    behind = notes(f"{INGRESS},router.trustedProxies={{10.244.0.0/16}}")
    assert "10.244.0.0/16 (router.trustedProxies)" in behind and "set ingress.enabled" not in behind
    assert "set ingress.enabled or httpRoute.enabled, and router.trustedProxies" in notes("logLevel=INFO")
    assert "externalTrafficPolicy=Local" in notes("router.service.type=LoadBalancer")
    kept = notes("router.service.type=LoadBalancer,router.service.externalTrafficPolicy=Local")
    assert "externalTrafficPolicy" not in kept and "now: nobody" in kept
