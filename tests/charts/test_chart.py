"""The chart against a real API server: what it renders is taken, keeps to `restricted`, and keeps what must stay."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charts.rendering import CHART, SERVER, Helm, environment, named, of_kind, render
from cluster.fixtures import Cluster

pytestmark = pytest.mark.cluster


def test_lint(helm: Helm, everything: Path) -> None:
    for values in ((), ("--values", str(everything))):
        assert "0 chart(s) failed" in helm("lint", "--strict", "--kube-version", SERVER, str(CHART), *values)


def test_the_api_server_takes_all_of_it(
    api_server: Cluster, helm: Helm, names: tuple[str, str], everything: Path
) -> None:
    system, tenants = names
    api_server.kubectl("create", "namespace", tenants)
    for objects in (
        render(helm, system, "--set", f"tenants.namespaces={{{tenants}}}"),
        render(helm, system, "--values", str(everything)),
    ):
        # Kinds of others, which this API server does not have; and the test's pod, whose account comes first.
        ours = [
            found for found in objects if found["kind"] not in ("HTTPRoute", "ServiceMonitor", "PrometheusRule", "Pod")
        ]
        whole = {"apiVersion": "v1", "kind": "List", "items": ours}
        said = api_server.kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(whole))
        assert said.count("(server dry run)") == len(ours)


def test_every_pod_keeps_to_the_level_restricted(
    api_server: Cluster, helm: Helm, names: tuple[str, str], everything: Path
) -> None:
    system, _ = names
    objects = render(helm, system, "--values", str(everything))
    pods = [deployment["spec"]["template"] for deployment in of_kind(objects, "Deployment")]
    pods += of_kind(objects, "Pod")
    assert len(pods) == 3
    api_server.kubectl("wait", "-n", system, "--for=create", "serviceaccount/default", "--timeout=30s")
    for number, pod in enumerate(pods):
        spec = {
            key: value for key, value in pod["spec"].items() if key not in ("serviceAccountName", "priorityClassName")
        }
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"p{number}", "namespace": system},
            "spec": spec,
        }
        # Pod Security refuses at this place what is not restricted.
        api_server.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(body))


def test_install_upgrade_and_uninstall_keep_key_kinds_and_tenants(
    api_server: Cluster, helm: Helm, install: Callable[..., None], names: tuple[str, str]
) -> None:
    system, tenants = names
    install()
    kubectl = api_server.kubectl
    key = kubectl.get("secret", "openclaw-tenancy-identity", "-n", system)["data"]["master-key"]
    assert len(base64.b64decode(key)) >= 32
    kubectl.wait("condition=Established", "crd/tenants.openclaw-tenancy.dev", timeout=30)
    tenant = {
        "apiVersion": "openclaw-tenancy.dev/v1alpha1",
        "kind": "Tenant",
        "metadata": {"name": "alice"},
        "spec": {"userId": "42", "templateRef": {"name": "standard"}},
    }
    kubectl.apply(tenant, namespace=tenants)
    helm("upgrade", "rel", str(CHART), "-n", system, "--reuse-values", "--set", "router.replicas=3")
    assert kubectl.get("deployment", "rel-openclaw-tenancy-router", "-n", system)["spec"]["replicas"] == 3
    assert kubectl.get("secret", "openclaw-tenancy-identity", "-n", system)["data"]["master-key"] == key
    said = helm("uninstall", "rel", "-n", system)
    assert "kept due to the resource policy" in said
    assert kubectl.get("tenant", "alice", "-n", tenants)["spec"]["userId"] == "42"
    assert kubectl.get("secret", "openclaw-tenancy-identity", "-n", system)["data"]["master-key"] == key
    install()
    assert kubectl.get("secret", "openclaw-tenancy-identity", "-n", system)["data"]["master-key"] == key
    helm("uninstall", "rel", "-n", system)


def test_a_key_of_ones_own(helm: Helm, names: tuple[str, str]) -> None:
    objects = render(helm, names[0], "--set", "identity.existingSecret=mine")
    assert not of_kind(objects, "Secret")
    for deployment in of_kind(objects, "Deployment"):
        volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
        assert volumes["identity"]["secret"]["secretName"] == "mine"


def test_ways_in_let_a_websocket_live(helm: Helm, names: tuple[str, str], everything: Path) -> None:
    objects = render(helm, names[0], "--values", str(everything))
    (ingress,) = of_kind(objects, "Ingress")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    assert ingress["spec"]["tls"] == [{"hosts": ["oc.example.com"], "secretName": "tls"}]
    (route,) = of_kind(objects, "HTTPRoute")
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    assert "replicas" not in named(objects, "Deployment", "router")["spec"]  # the autoscaler's


def test_every_alert_has_its_line_in_the_runbook(helm: Helm, names: tuple[str, str], everything: Path) -> None:
    (rule,) = of_kind(render(helm, names[0], "--values", str(everything)), "PrometheusRule")
    runbook = (CHART.parents[1] / "docs" / "operate.md").read_text()
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert f"| `{alert['alert']}` |" in runbook
        assert f'namespace="{names[0]}"' in alert["expr"]
        assert alert["annotations"]["runbook_url"] == "https://wiki.example.com/operate#alerts"


def test_an_alert_without_a_link_names_the_file_and_its_heading(
    helm: Helm, names: tuple[str, str], everything: Path
) -> None:
    words = ("--values", str(everything), "--set", "prometheusRule.runbookUrl=")
    (rule,) = of_kind(render(helm, names[0], *words), "PrometheusRule")
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert set(alert["annotations"]) == {"summary", "description"}  # no link that leads nowhere
        said = alert["annotations"]["description"]
        assert "docs/operate.md" in said and "Alerts" in said
    assert "\n## Alerts\n" in (CHART.parents[1] / "docs" / "operate.md").read_text()


def test_dns_is_reached_where_it_is(helm: Helm, names: tuple[str, str], everything: Path) -> None:
    """On other ports, and in caches on the nodes: by operator and router, and by the gateways, of which the operator is told."""

    def dns(*words: str) -> list[tuple[list[str], list[tuple[str, int]]]]:
        found = []
        for component in ("operator", "router"):
            rule = named(render(helm, names[0], *words), "NetworkPolicy", component)["spec"]["egress"][0]
            blocks = [peer["ipBlock"]["cidr"] for peer in rule["to"] if "ipBlock" in peer]
            found.append((blocks, [(port["protocol"], port["port"]) for port in rule["ports"]]))
        return found

    assert dns() == [([], [("UDP", 53), ("TCP", 53)])] * 2
    caches = ["169.254.20.10/32", "fd00::10/128"]
    ports = [("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353)]
    assert dns("--values", str(everything)) == [(caches, ports)] * 2
    told = environment(render(helm, names[0], "--values", str(everything)), "operator")
    assert (told["DNS_PORTS"], told["DNS_ADDRESSES"]) == ("53,5353", "169.254.20.10/32,fd00::10/128")
    told = environment(render(helm, names[0]), "operator")
    assert told["DNS_PORTS"] == "53"
    assert "DNS_ADDRESSES" not in told


def test_the_operator_is_told_how_gateways_images_are_pulled(
    helm: Helm, names: tuple[str, str], everything: Path
) -> None:
    objects = render(helm, names[0], "--values", str(everything))
    assert environment(objects, "operator")["IMAGE_PULL_SECRETS"] == "registry,other"
    # Secrets of the tenants' namespaces, which are none of the release's.
    for deployment in of_kind(objects, "Deployment"):
        assert "imagePullSecrets" not in deployment["spec"]["template"]["spec"]
    assert "IMAGE_PULL_SECRETS" not in environment(render(helm, names[0]), "operator")


@pytest.mark.parametrize("component", ["operator", "router"])
def test_replicas_are_kept_apart_by_nodes_and_zones(helm: Helm, names: tuple[str, str], component: str) -> None:
    def spread(*words: str) -> list[dict[str, Any]]:
        deployment = named(render(helm, names[0], *words), "Deployment", component)
        found = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        selector = deployment["spec"]["selector"]
        assert [one["labelSelector"] for one in found if "labelSelector" in one] in ([], [selector, selector])
        return [{key: value for key, value in one.items() if key != "labelSelector"} for one in found]

    usual = {"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "matchLabelKeys": ["pod-template-hash"]}
    assert spread() == [
        {**usual, "topologyKey": "kubernetes.io/hostname"},
        {**usual, "topologyKey": "topology.kubernetes.io/zone"},
    ]
    assert spread("--set", f"{component}.topologySpreadConstraints[0].maxSkew=2") == [{"maxSkew": 2}]
