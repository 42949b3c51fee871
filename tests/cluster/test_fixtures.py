"""The fixture `api_server` is a real API server with its controllers."""

from __future__ import annotations

import json

import pytest

from cluster.errors import CommandFailed
from cluster.fixtures import Cluster
from deadlines import eventually

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "idle"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "idle"}},
        "template": {
            "metadata": {"labels": {"app": "idle"}},
            "spec": {
                "securityContext": {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [
                    {
                        "name": "idle",
                        "image": "localhost/pause:1",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        },
    },
}


def test_api_server_is_of_the_pinned_version(api_server: Cluster) -> None:
    version = json.loads(api_server.kubectl("version", "-o", "json"))
    assert version["serverVersion"]["gitVersion"] == version["clientVersion"]["gitVersion"]
    assert api_server.url.startswith("https://127.0.0.1:")


async def test_controllers_make_and_collect_children(api_server: Cluster, namespace: str) -> None:
    api_server.kubectl.apply(DEPLOYMENT, namespace=namespace)
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await eventually(lambda: len(api_server.api.get(pods)["items"]) == 1, 20)
    api_server.kubectl("delete", "deployment", "idle", "-n", namespace, "--cascade=background")
    await eventually(lambda: not api_server.api.get(pods)["items"], 20)


def test_namespace_refuses_what_is_not_restricted(api_server: Cluster, namespace: str) -> None:
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        api_server.kubectl("run", "root", "--image=localhost/pause:1", "-n", namespace)
