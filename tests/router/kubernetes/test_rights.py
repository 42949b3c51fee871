"""The router with nothing but its Role: what it lists, watches and patches, and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes_world import Cluster, Node, RunningRouter, answers, hello, known

from cluster.fixtures import Cluster as KubernetesCluster
from tenant_api.apiserver_errors import ApiRefused
from tenant_api.kubernetes_names import GROUP, TEMPLATES, TENANTS
from tenant_router.kubernetes.access import ApiAccess

pytestmark = pytest.mark.cluster

RULES = [
    {"apiGroups": [GROUP], "resources": [TENANTS, TEMPLATES], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
]
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture
async def restricted(
    prepared: KubernetesCluster, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningRouter]:
    """A router that logs in with a service account's token."""
    kubectl = prepared.kubectl
    subject = {"kind": "ServiceAccount", "name": "router"}
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "router"}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "router"}},
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "router"}, "rules": RULES},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "router"},
            "subjects": [subject],
            "roleRef": reference,
        },
        namespace=cluster.namespace,
    )
    token = kubectl("create", "token", "router", "-n", cluster.namespace).strip()
    config: dict[str, Any] = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(file))
    router = await RunningRouter(cluster, await ApiAccess.load()).start()
    yield router
    await router.stop()


async def test_its_role_is_enough(cluster: Cluster, node: Node, restricted: RunningRouter) -> None:
    token = await cluster.tenant("ann")
    await known(restricted, cluster, "ann")
    client = await hello(restricted, token)
    assert await answers(client)
    await cluster.edit("ann", tokens=[])
    assert (await client.closed())[0] == 4001


async def test_it_reads_no_secrets_and_writes_nothing_else(cluster: Cluster, restricted: RunningRouter) -> None:
    await cluster.tenant("ann")
    for method, path in (
        ("GET", cluster.path("secrets")),
        ("GET", cluster.path("deployments")),
        ("DELETE", cluster.path(TENANTS, "ann")),
    ):
        with pytest.raises(ApiRefused, match="403"):
            await restricted.api.request(method, path)
