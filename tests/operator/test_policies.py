"""The NetworkPolicies say at the API server what they should and nothing else, whoever added a rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from operator_world import World, template, tenant

from tenant_operator.apiserver.access import Access
from tenant_operator.apiserver.client import ApiClient
from tenant_operator.apiserver.resources import TEMPLATE, TENANT
from tenant_operator.cache.cache import Cache
from tenant_operator.metrics import Metrics
from tenant_operator.objects.network_policy import GATEWAY_POLICY, Traffic
from tenant_operator.reconcile.acceptance import Templates
from tenant_operator.reconcile.policies import Policies

TRAFFIC = Traffic("system", (("app", "router"),))
OF_TEMPLATE = f"{GATEWAY_POLICY}-standard"


class Keeper:
    """The operator's part that keeps the policies, in this process, and what it writes."""

    def __init__(self, here: World, api: ApiClient, metrics: Metrics) -> None:
        cache = Cache()
        for resource, kind, name in ((TEMPLATE, "tenanttemplates", "standard"), (TENANT, "tenants", "ann")):
            body = here.get(kind, name)
            assert body is not None
            cache.put(resource, body)
        self.templates = Templates()
        self._policies = Policies(api, cache, self.templates, TRAFFIC)
        self._namespace = here.namespace
        self._metrics = metrics

    async def look(self) -> float:
        """Look once; return how much was written."""
        before = self._writes()
        await self._policies.ensure(self._namespace)
        return self._writes() - before

    def _writes(self) -> float:
        calls = [one for metric in self._metrics.calls.collect() for one in metric.samples]
        return sum(one.value for one in calls if one.name.endswith("_total") and one.labels["verb"] != "list")


@asynccontextmanager
async def keeper(here: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keeper]:
    here.apply(template(egress=["10.1.2.0/24:8080", "fd12:3456::/48:5432"]), tenant("ann"))
    monkeypatch.setenv("KUBECONFIG", str(here.cluster.kubeconfig))
    metrics = Metrics()
    api = ApiClient(Access(), metrics.called)
    try:
        yield Keeper(here, api, metrics)
    finally:
        await api.close()


def specs(here: World) -> dict[str, Any]:
    return {one["metadata"]["name"]: one["spec"] for one in here.items("networkpolicies")}


async def test_as_the_server_keeps_them_is_as_they_are_built(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeper(here, monkeypatch) as made:
        assert await made.look() == 2
        assert set(specs(here)) == {GATEWAY_POLICY, OF_TEMPLATE}
        assert await made.look() == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (GATEWAY_POLICY, {"ingress": [{}]}),
        (GATEWAY_POLICY, {"egress": [{}]}),
        (GATEWAY_POLICY, {"policyTypes": ["Ingress"]}),
        (GATEWAY_POLICY, {"podSelector": {"matchLabels": {"nobody": "has-this"}}}),
        (OF_TEMPLATE, {"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
        (OF_TEMPLATE, {"policyTypes": ["Egress", "Ingress"], "ingress": [{}]}),
        (OF_TEMPLATE, {"ingress": [{}]}),
        (OF_TEMPLATE, {"podSelector": {"matchLabels": None}}),
    ],
)
async def test_what_another_manager_opens_or_takes_away_is_undone(
    here: World, monkeypatch: pytest.MonkeyPatch, name: str, change: dict[str, Any]
) -> None:
    async with keeper(here, monkeypatch) as made:
        await made.look()
        right = specs(here)
        # Beside what is there, as an administrator's `kubectl edit` leaves it.
        both = {
            key: right[name].get(key, []) + value if key in ("ingress", "egress") else value
            for key, value in change.items()
        }
        here.patch("networkpolicies", name, {"spec": both})
        assert specs(here) != right
        assert await made.look() > 0
        assert specs(here) == right
        assert await made.look() == 0


async def test_what_another_manager_applies_is_undone_too(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeper(here, monkeypatch) as made:
        await made.look()
        right = specs(here)
        opened = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": OF_TEMPLATE},
            "spec": {"podSelector": right[OF_TEMPLATE]["podSelector"], "ingress": [{}], "egress": [{}]},
        }
        here.apply(opened)
        assert specs(here)[OF_TEMPLATE]["ingress"] == [{}]
        assert await made.look() > 0
        assert specs(here) == right
        assert await made.look() == 0


async def test_api_server_that_moves_is_closed_at_its_new_address(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def excepted() -> set[str]:
        blocks = specs(here)[GATEWAY_POLICY]["egress"][1]["to"]
        return {network for block in blocks for network in block["ipBlock"]["except"]}

    async with keeper(here, monkeypatch) as made:
        made.templates.close(frozenset({("203.0.113.7", 443), ("10.96.0.1", 443)}))
        await made.look()
        assert "203.0.113.7/32" in excepted()
        made.templates.close(frozenset({("203.0.113.8", 443), ("2001:db8::8", 443), ("10.96.0.1", 443)}))
        assert await made.look() == 1
        assert {"203.0.113.8/32", "2001:db8::8/128"} < excepted() and "203.0.113.7/32" not in excepted()
        assert await made.look() == 0
        # A template that opens it now can't be used any more; what it opened before stays.
        made.templates.close(frozenset({("10.1.2.3", 8080)}))
        before = specs(here)[OF_TEMPLATE]
        await made.look()
        assert specs(here)[OF_TEMPLATE] == before
