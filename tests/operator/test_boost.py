"""A CPU limit that can't be lowered in place is said, with what the cluster lacks; a pod that is gone is nothing to say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from in_process import parts
from operator_world import World
from scripted_apiserver import scripted

from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_operator.apiserver.errors import NotFound, NotServed
from tenant_operator.apiserver.resources import DEPLOYMENT, POD, Resource
from tenant_operator.cache.projection import deployment_record, pod_record, tenant_record
from tenant_operator.cache.records import TenantView
from tenant_operator.life import Life
from tenant_operator.reconcile.acceptance import Accepted
from tenant_operator.reconcile.boost import Boosts
from tenant_operator.reconcile.children import Children

SPEC = {"userId": "42", "templateRef": {"name": "standard"}}
ACCEPTED = Accepted(
    Tenant.model_validate({"metadata": {"name": "ann"}, "spec": SPEC}),
    TenantTemplate.model_validate(
        {
            "metadata": {"name": "standard"},
            "spec": {"version": "1", "resources": {"limits": {"cpu": "500m"}}, "wake": {"cpuLimit": "2"}},
        }
    ),
    "i",
)
RESIZE = "/api/v1/namespaces/ns/pods/p/resize"
# As kube-apiserver 1.32 answers to a subresource that it does not have; see the test with a real one below.
UNKNOWN = {"kind": "Status", "code": 404, "reason": "NotFound", "details": {}}
GONE = {**UNKNOWN, "message": 'pods "p" not found', "details": {"name": "p", "kind": "pods"}}
FORBIDDEN = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods may not be resized"}


def ready_pod() -> TenantView:
    child = {"namespace": "ns", "name": "p", "uid": "p", "labels": {"openclaw-tenancy.dev/tenant": "ann"}}
    container = {"name": "gateway", "resources": {"limits": {"cpu": "2"}}}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pod = pod_record({"metadata": child, "spec": {"containers": [container]}, "status": status})
    own = tenant_record({"metadata": {"namespace": "ns", "name": "ann", "uid": "u"}, "spec": SPEC})
    return TenantView(own, deployment_record({"metadata": child, "spec": {"replicas": 1}}), None, None, [pod])


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [(404, UNKNOWN, "needs Kubernetes 1.33"), (404, GONE, ""), (403, FORBIDDEN, "pods may not be resized")],
)
async def test_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, status: dict[str, Any], said: str
) -> None:
    async with (
        scripted(tmp_path, monkeypatch) as (server, _),
        parts(tmp_path / "kubeconfig", "ns", tmp_path, monkeypatch) as world,
    ):
        server.answers["PATCH", RESIZE] = (code, status)
        boosts, life = Boosts(world, Children(world)), Life()
        for _ in range(2):  # once for a pod
            await boosts.take_back(ready_pod(), ACCEPTED, life)
        sending = asyncio.create_task(world.events.run())
        await asyncio.wait_for(world.events.sent(), 20)
        sending.cancel()
        assert [path for method, path, _ in server.asked if method == "PATCH"] == [RESIZE]
        told = [body for method, _, body in server.asked if method == "POST"]
        if not said:
            assert told == []
            return
        (event,) = told
        assert (event["type"], event["reason"]) == ("Warning", "ResizeRefused") and said in event["message"]


@pytest.mark.parametrize(
    ("resource", "name", "subresource", "expected"),
    [
        (POD, "nobody", "", NotFound),
        (POD, "nobody", "nothing", NotServed),
        (DEPLOYMENT, "nobody", "", NotFound),
        (Resource("nobody.example", "v1", "things", "Thing"), "nobody", "", NotServed),
    ],
)
async def test_a_real_api_server_tells_what_is_not_there_from_what_it_does_not_know(
    here: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resource: Resource,
    name: str,
    subresource: str,
    expected: type[NotFound],
) -> None:
    async with parts(here.cluster.kubeconfig, here.namespace, tmp_path, monkeypatch) as world:
        with pytest.raises(NotFound) as caught:
            if subresource:
                await world.api.strategic(resource, here.namespace, name, {"spec": {}}, subresource=subresource)
            else:
                await world.api.get(resource, here.namespace, name)
        assert type(caught.value) is expected
