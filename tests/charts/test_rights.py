"""What the chart's Roles grant, verb by verb, each with what it is for; the same in its comments, in the docs and at an API server."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from charts.rendering import CHART, Rendered, of_kind
from cluster.fixtures import Cluster

pytestmark = pytest.mark.cluster
OURS, CORE, LEASES = "openclaw-tenancy.dev", "", "coordination.k8s.io"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


class Right(NamedTuple):
    """Who, in which API group, on what; `own`: in the release's namespace, on the object of this name alone."""

    who: str
    group: str
    resource: str
    own: str | None = None


_HEARD = {"list": "all of them, page by page, at the start and after a gap", "watch": "what changes"}
_APPLIED = {"patch": "server-side apply", "create": "server-side apply of what is not there yet"}
_UNLABELLED = "Children.look_again: one that should be there and is not listed may have lost our labels"
_ONE_A_NAMESPACE = "reconcile/namespace.py: is it as it should be?"

RIGHTS: dict[Right, dict[str, str]] = {
    Right("router", OURS, "tenants"): _HEARD,
    Right("router", OURS, "tenanttemplates"): _HEARD,
    Right("router", CORE, "pods"): _HEARD | {"list": "PodSink.look too, for one tenant"},
    Right("router", CORE, "events"): _HEARD,
    Right("router", "apps", "deployments/scale"): {"patch": "scale_up: 0 to 1"},
    Right("operator", OURS, "tenants"): _HEARD,
    Right("operator", OURS, "tenanttemplates"): _HEARD,
    Right("operator", OURS, "tenants/status"): {"patch": "server-side apply; a subresource can't be created"},
    Right("operator", OURS, "tenanttemplates/status"): {"patch": "the same"},
    Right("operator", "apps", "deployments"): _HEARD | _APPLIED | {"get": _UNLABELLED},
    Right("operator", "apps", "deployments/scale"): {"patch": "Children.scale"},
    Right("operator", CORE, "persistentvolumeclaims"): _HEARD
    | _APPLIED
    | {"get": f"{_UNLABELLED}; reconcile/template.py: the source of a template"},
    Right("operator", CORE, "secrets"): _HEARD
    | _APPLIED
    | {"get": f"{_UNLABELLED}; Children.recall: the template a gateway was started with"},
    Right("operator", CORE, "pods"): _HEARD
    | {"create": "reconcile/volume.py: prebind", "delete": "reconcile/volume.py: prebind is done"},
    Right("operator", CORE, "pods/resize"): {"patch": "Children.limit_cpu"},
    Right("operator", CORE, "events"): {
        "create": "events.py",
        "patch": "events.py: it happened again",
        "list": "reconcile/volume.py: what the storage says of a claim",
    },
    Right("operator", CORE, "serviceaccounts"): _APPLIED | {"get": _ONE_A_NAMESPACE},
    Right("operator", "networking.k8s.io", "networkpolicies"): _APPLIED
    | {"list": "reconcile/policies.py: ours, by label", "delete": "reconcile/policies.py: its template opens nothing"},
    Right("operator", "snapshot.storage.k8s.io", "volumesnapshots"): {"get": "reconcile/template.py: is it ready?"},
    Right("operator", LEASES, "leases", ""): {"create": "leader.py: there is none"},
    Right("operator", LEASES, "leases", "openclaw-tenancy-operator"): {
        "get": "leader.py: who holds it",
        "update": "leader.py: taken, renewed, given back",
    },
    # The pod of `helm test`: as long as the test runs.
    Right("test", OURS, "tenants"): {"create": "its own", "get": "is it provisioned?", "delete": "its own"},
    Right("test", OURS, "tenanttemplates"): {"create": "its own", "delete": "its own"},
}


def rules(objects: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """(who, namespace, rule) of all Roles."""
    return [
        (role["metadata"]["labels"]["app.kubernetes.io/component"], role["metadata"]["namespace"], rule)
        for role in of_kind(objects, "Role")
        for rule in role["rules"]
    ]


def test_roles_grant_what_is_used_and_nothing_else(rendered: Rendered) -> None:
    objects = rendered("--set", "tenants.namespaces={team-a,team-b}")
    assert not of_kind(objects, "ClusterRole") + of_kind(objects, "ClusterRoleBinding")
    granted: dict[tuple[str, Right], list[str]] = {}
    for who, namespace, rule in rules(objects):
        own = ",".join(rule.get("resourceNames", ())) if namespace == "system" else None
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                right = Right(who, group, resource, own)
                assert (namespace, right) not in granted, f"two rules for {right}"
                granted[namespace, right] = sorted(rule["verbs"])
    wanted = {(namespace, right): sorted(why) for right, why in RIGHTS.items() for namespace in _namespaces(right)}
    assert granted == wanted


def _namespaces(right: Right) -> tuple[str, ...]:
    if right.own is not None:
        return ("system",)
    # `helm test` makes its tenant in the first one.
    return ("team-a",) if right.who == "test" else ("team-a", "team-b")


def test_every_rule_says_why(rendered: Rendered) -> None:
    seen = 0
    for file in CHART.glob("templates/**/*.yaml"):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if re.match(r"\s*- apiGroups", line):
                seen += 1
                assert lines[number - 1].strip().startswith("#"), f"{file.name}:{number + 1} has no why before it"
    assert seen == len(rules(rendered()))


def test_the_docs_table_is_what_is_granted(rendered: Rendered) -> None:
    page = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    section = page.partition("\n## What the chart grants\n")[2].partition("\n## ")[0]
    said = set()
    for who, may, on in re.findall(r"^\| (router|operator) \| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE):
        for resource in on.split(", "):
            said |= {(who, resource, verb) for verb in may.split(", ")}
    granted = {
        (who, resource + (" (its own)" if "resourceNames" in rule else ""), verb)
        for who, _, rule in rules(rendered())
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if who != "test"
    }
    assert said == granted


def test_the_api_server_lets_the_accounts_do_just_that(
    api_server: Cluster, install: Callable[..., None], names: tuple[str, str]
) -> None:
    system, tenants = names
    install()

    def may(who: str, verb: str, right: Right, namespace: str) -> bool:
        resource, _, sub = right.resource.partition("/")
        attributes = {"namespace": namespace, "verb": verb, "group": right.group, "resource": resource}
        attributes |= {"subresource": sub, "name": right.own or ""}
        user = f"system:serviceaccount:{system}:rel-openclaw-tenancy-{who}"
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        answer = api_server.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    # Everything that either has, and what would open a gateway, the release or the cluster.
    tempting = (
        Right("", CORE, "pods/exec"),
        Right("", CORE, "pods/log"),
        Right("", CORE, "pods/ephemeralcontainers"),
        Right("", CORE, "serviceaccounts/token"),
        Right("", CORE, "configmaps"),
        Right("", "rbac.authorization.k8s.io", "roles"),
        Right("", "rbac.authorization.k8s.io", "rolebindings"),
    )
    everything = {right._replace(who="") for right in RIGHTS if right.own is None} | set(tempting)
    for who in ("router", "operator"):
        for right in everything:
            wanted = set(RIGHTS.get(right._replace(who=who), ()))
            assert {verb for verb in VERBS if may(who, verb, right, tenants)} == wanted, (who, right)
            assert not any(may(who, verb, right, "default") for verb in ("get", "list", "create")), (who, right)
        assert not may(who, "get", Right(who, CORE, "secrets"), system)
        lease = Right(who, LEASES, "leases", "openclaw-tenancy-operator")
        held = {verb for verb in VERBS if may(who, verb, lease, system)}
        assert held == ({"create", "get", "update"} if who == "operator" else set())
        assert not may(who, "update", lease._replace(own="another"), system)
