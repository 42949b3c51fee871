"""HTTPRoute, ServiceMonitor and PrometheusRule are taken by the kinds that they are for, with every field known there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from charts.rendering import CHART, Helm, Rendered, of_kind
from charts.upstream import DEFINITIONS
from cluster.errors import CommandFailed
from cluster.fixtures import Cluster

pytestmark = pytest.mark.cluster
ON = (
    *("--set", "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public,httpRoute.parentRefs[0].namespace=gateways"),
    *("--set", "httpRoute.hostnames={oc.example.com},httpRoute.annotations.a=b,router.trustedProxies={10.0.0.0/8}"),
    *("--set", "serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus,prometheusRule.enabled=true"),
    *("--set", "networkPolicy.metricsFrom.name=monitoring"),
)


@pytest.fixture(scope="module")
def upstream(api_server: Cluster) -> Iterator[Cluster]:
    """The API server with the definitions of all three kinds, which go again."""
    for definition in DEFINITIONS.values():
        # Server-side: they are too long for the annotation that a client-side apply leaves.
        api_server.kubectl("apply", "--server-side", "-f", str(definition.path()))
        api_server.kubectl.wait("condition=Established", f"crd/{definition.kind}", timeout=30)
    yield api_server
    api_server.kubectl("delete", "crd", *(one.kind for one in DEFINITIONS.values()))


@pytest.mark.parametrize("kind", DEFINITIONS)
@pytest.mark.parametrize("more", [(), ("--set", "prometheusRule.runbookUrl=https://wiki.example.com/operate#alerts")])
def test_upstreams_kind_takes_it(
    upstream: Cluster, rendered: Rendered, namespace: str, kind: str, more: tuple[str, ...]
) -> None:
    (ours,) = of_kind(rendered(*ON, *more), kind)
    ours["metadata"]["namespace"] = namespace
    said = upstream.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(ours))
    assert "created (server dry run)" in said


def test_upstreams_kind_would_refuse_a_field_it_does_not_know(
    upstream: Cluster, rendered: Rendered, namespace: str
) -> None:
    (route,) = of_kind(rendered(*ON), "HTTPRoute")
    route["metadata"]["namespace"] = namespace
    route["spec"]["rules"][0]["timeouts"]["idle"] = "0s"
    with pytest.raises(CommandFailed, match="idle"):
        upstream.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(route))


def test_notes_name_the_routes_host(upstream: Cluster, helm: Helm, names: tuple[str, str]) -> None:
    """Only with the Gateway API: without it an install is refused, even a dry one."""
    whole = helm("install", "rel", str(CHART), "-n", names[0], "--dry-run=client", "--take-ownership", *ON)
    notes = whole.partition("NOTES:")[2]
    assert "--url wss://oc.example.com" in notes and "10.0.0.0/8 (router.trustedProxies)" in notes
    assert "set ingress.enabled" not in notes and "port-forward" not in notes
