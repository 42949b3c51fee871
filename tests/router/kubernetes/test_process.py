"""`python -m tenant_router` as a pod runs it: its start, its end, and its death in the middle of a wake."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest
from kubernetes_process import Replicas
from kubernetes_world import Cluster, Line, Node
from router_world import Client

from deadlines import eventually
from ports import free_port
from tenant_router.kubernetes.access import ApiAccess

pytestmark = pytest.mark.cluster


async def test_it_serves_tells_why_and_drains_on_sigterm(cluster: Cluster, node: Node, replicas: Replicas) -> None:
    token = await cluster.tenant("ann")
    router = await (await replicas.start()).ready()
    assert await router.get("/readyz") == (200, {"ready": True, "draining": False})
    client = await Client.open(router)
    assert (await client.hello(token))["ok"]
    status, why = await router.get(f"/why/{cluster.namespace}/ann")
    assert status == 200
    assert why["state"] == "awake"
    assert why["connections"] == 1
    assert (await router.get(f"/why/{cluster.namespace}/nobody"))[0] == 404
    router.process.send_signal(signal.SIGTERM)
    assert (await client.recv())["event"] == "shutdown"
    assert (await client.closed())[0] == 1012
    assert await asyncio.wait_for(router.process.wait(), 10) == 0
    assert await cluster.replicas("ann") == 1


async def test_it_is_not_ready_before_the_api_server_is_there(
    cluster: Cluster, line: Line, replicas: Replicas, tmp_path: Path
) -> None:
    await cluster.tenant("ann")
    config = Path(os.environ["KUBECONFIG"]).read_text()
    away = tmp_path / "kubeconfig"
    away.write_text(config.replace((await ApiAccess.load()).server, line.url))
    await line.cut()
    admin = free_port()
    router = await replicas.start(KUBECONFIG=str(away), OPENCLAW_TENANCY_ADMIN=f"127.0.0.1:{admin}")
    router.admin = f"http://127.0.0.1:{admin}"

    async def unready() -> bool:
        try:
            return (await router.get("/readyz"))[0] == 503
        except aiohttp.ClientError:
            return False

    await eventually(unready, 20, "it lives but is not ready")
    await line.mend()
    await router.ready()
    assert (await router.get("/readyz"))[0] == 200


async def test_a_router_that_is_killed_in_a_wake_loses_nothing_but_its_sockets(
    cluster: Cluster, node: Node, replicas: Replicas
) -> None:
    token = await cluster.tenant("ann")
    first = await (await replicas.start()).ready()

    node.broken = Node.bind  # and no more
    client = await Client.open(first)
    held = asyncio.create_task(client.hello(token))
    await eventually(lambda: node.pods, 10, "the wake is under way")
    first.process.kill()
    await asyncio.gather(held, return_exceptions=True)
    assert held.exception() is not None
    # The kubelet has gone on all the while; now the pod has an address.
    pod = node.pod_of("ann")
    ip = await node.start(pod)
    await node.status(pod, phase="Running", podIP=ip, podIPs=[{"ip": ip}])
    second = await (await replicas.start()).ready()
    again = await Client.open(second)
    answer = await again.hello(token)
    assert answer["ok"], answer
    assert node.made == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [({"OPENCLAW_TENANCY_NAMESPACES": ""}, "OPENCLAW_TENANCY_NAMESPACES"), ({"KUBECONFIG": "/nowhere"}, "KUBECONFIG")],
)
async def test_what_is_wrong_with_its_environment_is_said_in_one_line(
    replicas: Replicas, change: dict[str, str], words: str
) -> None:
    router = await replicas.start(**change)
    assert await asyncio.wait_for(router.process.wait(), 20) == 1
    said = router.log.read_text()
    assert said.startswith("tenant_router: ")
    assert words in said
    assert said.count("\n") == 1
