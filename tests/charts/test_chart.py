"""The chart against a real API server: what it renders is taken, keeps to `restricted`, grants little, and keeps what must stay."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cluster.errors import CommandFailed
from cluster.fixtures import Cluster

Helm = Callable[..., str]
CHART = Path(__file__).parents[2] / "charts" / "openclaw-tenancy"
SERVER = "1.37.2"
EVERYTHING = """
tenants: {namespaces: [TENANTS], egress: ["10.0.0.1/32:80"]}
operator: {priorityClassName: system-cluster-critical}
router:
  autoscaling: {enabled: true}
  trustedProxies: [10.0.0.0/8]
  networks: [10.88.0.0/24]
  nodeSelector: {a: b}
  tolerations: [{operator: Exists}]
  podAnnotations: {x: "y"}
  controlUi: false
ingress: {enabled: true, className: nginx, hosts: [oc.example.com], tlsSecret: tls}
httpRoute: {enabled: true, parentRefs: [{name: public}], hostnames: [oc.example.com]}
networkPolicy: {metricsFrom: {kubernetes.io/metadata.name: monitoring}}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true}
"""
pytestmark = pytest.mark.cluster


@pytest.fixture
def everything(tmp_path: Path, names: tuple[str, str]) -> Path:
    """Values that turn everything on."""
    file = tmp_path / "everything.yaml"
    file.write_text(EVERYTHING.replace("TENANTS", names[1]))
    return file


def rendered(helm: Helm, system: str, *words: str) -> list[dict[str, Any]]:
    text = helm("template", "rel", str(CHART), "--namespace", system, "--kube-version", SERVER, *words)
    return [found for found in YAML(typ="safe").load_all(text) if found]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [found for found in objects if found["kind"] == kind]


def test_lint(helm: Helm, everything: Path) -> None:
    for values in ((), ("--values", str(everything))):
        assert "0 chart(s) failed" in helm("lint", "--strict", "--kube-version", SERVER, str(CHART), *values)


def test_the_api_server_takes_all_of_it(
    api_server: Cluster, helm: Helm, names: tuple[str, str], everything: Path
) -> None:
    system, tenants = names
    api_server.kubectl("create", "namespace", tenants)
    for objects in (
        rendered(helm, system, "--set", f"tenants.namespaces={{{tenants}}}"),
        rendered(helm, system, "--values", str(everything)),
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
    objects = rendered(helm, system, "--values", str(everything))
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


def test_roles_grant_what_is_listed_and_no_more(
    api_server: Cluster, install: Callable[..., None], names: tuple[str, str]
) -> None:
    system, tenants = names
    install()

    def may(who: str, verb: str, what: str, namespace: str = tenants) -> bool:
        group, _, resource = what.rpartition("/") if what.count("/") and not what.startswith("pods") else ("", "", what)
        resource, _, sub = resource.partition(":")
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": sub}
        user = f"system:serviceaccount:{system}:rel-openclaw-tenancy-{who}"
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        answer = api_server.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    group = "openclaw-tenancy.dev"
    for verb in ("get", "list", "watch"):
        for what in (f"{group}/tenants", f"{group}/tenanttemplates", "pods", "events"):
            assert may("router", verb, what)
        for what in (f"{group}/tenants", "secrets", "apps/deployments", "pods", "persistentvolumeclaims"):
            assert may("operator", verb, what)
    assert may("router", "patch", "apps/deployments:scale") and may("operator", "patch", "apps/deployments:scale")
    assert may("operator", "patch", f"{group}/tenants:status")
    assert may("operator", "create", "coordination.k8s.io/leases", system)
    for verb, what in (
        ("get", "secrets"),
        ("patch", "apps/deployments"),
        ("get", "apps/deployments"),
        ("create", "pods"),
        ("create", "pods:exec"),
        ("patch", f"{group}/tenants"),
        ("patch", f"{group}/tenants:status"),
    ):
        assert not may("router", verb, what), (verb, what)
    for verb, what in (
        ("patch", f"{group}/tenants"),
        ("delete", f"{group}/tenants"),
        ("delete", "persistentvolumeclaims"),
        ("delete", "apps/deployments"),
        ("delete", "secrets"),
        ("create", "pods:exec"),
        ("create", "rbac.authorization.k8s.io/roles"),
    ):
        assert not may("operator", verb, what), (verb, what)
    for who in ("router", "operator"):
        assert not may(who, "list", f"{group}/tenants", "default")
        assert not may(who, "get", "secrets", system)


def test_every_rule_says_why() -> None:
    for file in CHART.glob("templates/**/*.yaml"):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s*- apiGroups", line) and "rules:" not in lines[number - 1]:
                before = lines[number - 1].strip()
                sibling = before.startswith("verbs:")  # the second rule of a sentence
                assert before.startswith("#") or sibling, f"{file.name}:{number + 1}"


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


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("router.replica=3", "'replica' not allowed"),
        ("logLevel=info", "logLevel"),
        ("router.drainTimeout=30", "drainTimeout"),
        ("tenants.namespaces={Tenants}", "namespaces"),
        ("tenants.egress={10.0.0.1}", "egress"),
        ("router.trustedProxies={10.0.0.1}", "trustedProxies"),
        ("ingress.enabled=true", "hosts"),
        ("httpRoute.enabled=true", "parentRefs"),
    ],
)
def test_wrong_values_are_refused_by_name(helm: Helm, setting: str, says: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        helm("template", "rel", str(CHART), "--kube-version", SERVER, "--set", setting)
    assert says in str(failed.value)


def test_a_key_of_ones_own(helm: Helm, names: tuple[str, str]) -> None:
    objects = rendered(helm, names[0], "--set", "identity.existingSecret=mine")
    assert not of_kind(objects, "Secret")
    for deployment in of_kind(objects, "Deployment"):
        volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
        assert volumes["identity"]["secret"]["secretName"] == "mine"


def test_ways_in_let_a_websocket_live(helm: Helm, names: tuple[str, str], everything: Path) -> None:
    objects = rendered(helm, names[0], "--values", str(everything))
    (ingress,) = of_kind(objects, "Ingress")
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "3600"
    assert ingress["spec"]["tls"] == [{"hosts": ["oc.example.com"], "secretName": "tls"}]
    (route,) = of_kind(objects, "HTTPRoute")
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    (deployment,) = (found for found in of_kind(objects, "Deployment") if found["metadata"]["name"].endswith("router"))
    assert "replicas" not in deployment["spec"]  # the autoscaler's
    spec = deployment["spec"]["template"]["spec"]
    drain = 30 + spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > drain


def test_every_alert_has_its_line_in_the_runbook(helm: Helm, names: tuple[str, str], everything: Path) -> None:
    (rule,) = of_kind(rendered(helm, names[0], "--values", str(everything)), "PrometheusRule")
    runbook = (CHART.parents[1] / "docs" / "operate.md").read_text()
    for alert in rule["spec"]["groups"][0]["rules"]:
        assert f"| `{alert['alert']}` |" in runbook
        assert f'namespace="{names[0]}"' in alert["expr"]
