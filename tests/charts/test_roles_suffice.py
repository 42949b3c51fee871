"""Operator and router do their work with the chart's Roles and nothing more: run as its service accounts on a real API server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cluster.fixtures import Cluster
from deadlines import eventually
from ports import free_port
from tenant_api.tokens import new_token, token_hex

START_TIMEOUT = 150.0
GROUP = "openclaw-tenancy.dev/v1alpha1"


def kubeconfig_of(cluster: Cluster, account: str, namespace: str, file: Path) -> Path:
    """Write a kubeconfig that is nobody but this service account."""
    token = cluster.kubectl("create", "token", account, "-n", namespace).strip()
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"] = [{"name": account, "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = account
    file.write_text(json.dumps(config))
    return file


@asynccontextmanager
async def program(module: str, log: Path, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(log.parent), **environ}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), START_TIMEOUT)


async def test_a_tenant_is_provisioned_and_woken(
    api_server: Cluster, install: Callable[..., None], names: tuple[str, str], tmp_path: Path
) -> None:
    system, tenants = names
    install()
    kubectl = api_server.kubectl
    kubectl.wait("condition=Established", "crd/tenants.openclaw-tenancy.dev", timeout=30)
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    token = new_token()
    common = {"OPENCLAW_TENANCY_NAMESPACES": tenants, "OPENCLAW_TENANCY_MASTER_KEY_FILE": str(key)}
    admin, port = f"127.0.0.1:{free_port()}", free_port()
    operator = common | {
        "KUBECONFIG": str(
            kubeconfig_of(api_server, "rel-openclaw-tenancy-operator", system, tmp_path / "operator.json")
        ),
        "OPENCLAW_TENANCY_HEALTH": f"127.0.0.1:{free_port()}",
        "OPENCLAW_TENANCY_LEASE_NAMESPACE": system,
        "OPENCLAW_TENANCY_ROUTER_NAMESPACE": system,
        "OPENCLAW_TENANCY_ROUTER_ADMIN": admin,
        "OPENCLAW_TENANCY_IMAGE_NATIVE": "gateway:none",
    }
    router = common | {
        "KUBECONFIG": str(kubeconfig_of(api_server, "rel-openclaw-tenancy-router", system, tmp_path / "router.json")),
        "OPENCLAW_TENANCY_LISTEN": f"127.0.0.1:{port}",
        "OPENCLAW_TENANCY_ADMIN": admin,
        "OPENCLAW_TENANCY_DRAIN_TIMEOUT": "1s",
    }
    logs = tmp_path / "operator.log", tmp_path / "router.log"
    standard = {"apiVersion": GROUP, "kind": "TenantTemplate", "metadata": {"name": "standard"}}
    kubectl.apply(
        {**standard, "spec": {"version": "1", "egress": ["10.1.2.0/24:8080"]}},
        {
            "apiVersion": GROUP,
            "kind": "Tenant",
            "metadata": {"name": "alice"},
            "spec": {
                "userId": "42",
                "templateRef": {"name": "standard"},
                "tokens": [{"name": "tui", "sha256": token_hex(token)}],
            },
        },
        namespace=tenants,
    )

    def condition(type: str) -> dict[str, Any]:
        status = kubectl.get("tenant", "alice", "-n", tenants).get("status", {})
        found = {one["type"]: one for one in status.get("conditions", [])}
        result: dict[str, Any] = found.get(type, {})
        return result

    async with program("tenant_operator", logs[0], **operator), program("tenant_router", logs[1], **router):
        await eventually(lambda: condition("Provisioned").get("status") == "True", START_TIMEOUT, "provisioned")
        children = kubectl("get", "deployment,pvc,secret,serviceaccount,networkpolicy", "-n", tenants, "-o", "name")
        for child in (
            "deployment.apps/openclaw-alice",
            "persistentvolumeclaim/openclaw-alice",
            "secret/openclaw-alice",
        ):
            assert child in children
        assert "networkpolicy.networking.k8s.io/openclaw-gateways" in children

        def policies() -> list[str]:
            return [one["metadata"]["name"] for one in kubectl.get("networkpolicy", "-n", tenants)["items"]]

        own = "openclaw-gateways-standard"
        await eventually(lambda: own in policies(), START_TIMEOUT, "the template's policy")
        kubectl.apply({**standard, "spec": {"version": "1"}}, namespace=tenants)
        await eventually(lambda: own not in policies(), START_TIMEOUT, "the template's policy gone")

        async def woken() -> bool:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
            try:
                return int(kubectl.get("deployment", "openclaw-alice", "-n", tenants)["spec"]["replicas"]) == 1
            finally:
                writer.close()

        await eventually(woken, START_TIMEOUT, "the router's scale")
        await eventually(
            lambda: kubectl.get("tenant", "alice", "-n", tenants)["status"]["phase"] == "Waking",
            START_TIMEOUT,
            "waking",
        )
    for log in logs:
        # What a Role does not grant is refused with these words.
        refused = [line for line in log.read_text().splitlines() if "cannot " in line or "orbidden" in line]
        assert refused == [], refused
    leases = kubectl("get", "lease", "-n", system, "-o", "name").split()
    assert leases == ["lease.coordination.k8s.io/openclaw-tenancy-operator"]
