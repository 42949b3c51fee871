"""The fleet against a real API server and real native gateways; controllers and kubelet are played (`Node`)."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes_world import Cluster, Node, RunningRouter, answers, hello, known
from router_world import Client

from deadlines import eventually
from tenant_api.kubernetes_names import TENANTS
from tenant_api.tokens import new_token, token_hex
from tenant_router.kubernetes.access import ApiAccess

pytestmark = pytest.mark.cluster

AUTH_CHANGED = 4001


async def test_the_first_connection_wakes_the_pod_and_talks_to_it(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await hello(running, token)
    assert await answers(client)
    assert await cluster.replicas("ann") == 1
    why = running.why("ann")
    assert why["state"] == "awake"
    assert why["pod"]["ip"].startswith("127.")
    wake = why["lastWake"]
    phases = [wake[name] for name in ("admitted", "patched", "pod", "scheduled", "address", "listening", "ready")]
    assert phases == sorted(phases)
    await client.ws.close()


async def test_a_stranger_wakes_nobody(cluster: Cluster, running: RunningRouter) -> None:
    await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await Client.open(running)
    answer = await client.hello(new_token())
    assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    assert await cluster.replicas("ann") == 0


async def test_many_clients_make_one_wake(cluster: Cluster, node: Node, running: RunningRouter) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    await asyncio.gather(*(hello(running, token) for _ in range(8)))
    assert node.made == 1
    assert running.why("ann")["wakes"] == 1


async def test_a_pod_that_serves_already_is_found_without_a_wake(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    await hello(running, token)
    second = await RunningRouter(cluster, await ApiAccess.load()).start()
    try:
        await hello(second, token)
        assert second.why("ann")["wakes"] == 0
        await node.status(node.pod_of("ann"), conditions=[{"type": "Ready", "status": "True"}])
        third = await RunningRouter(cluster, await ApiAccess.load()).start()
        assert third.fleet.awake(f"{cluster.namespace}/ann") is not None
        await third.stop()
    finally:
        await second.stop()


async def test_another_pod_is_another_incarnation(cluster: Cluster, node: Node, running: RunningRouter) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    await hello(running, token)
    key = f"{cluster.namespace}/ann"
    first = running.fleet.awake(key)
    assert first is not None
    assert running.fleet.ended(first) is None
    await cluster.delete("pods", node.pod_of("ann")["metadata"]["name"])
    await eventually(lambda: running.fleet.ended(first), 5, "the first pod has ended")
    await hello(running, token)
    second = running.fleet.awake(key)
    assert second is not None
    assert second.uid != first.uid
    assert "deleted" in (running.fleet.ended(first) or "")


async def test_a_scale_to_zero_just_behind_a_wake_only_delays_it(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")

    async def undone(node: Node, pod: dict[str, Any]) -> None:
        node.broken = None
        await node.cluster.scale("ann", 0)

    node.broken = undone
    await hello(running, token)
    assert node.made == 1


# Tokens


async def test_a_revoked_token_ends_its_sockets_within_a_second_and_no_others(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    phone, laptop = new_token(), new_token()
    both = [{"name": "phone", "sha256": token_hex(phone)}, {"name": "laptop", "sha256": token_hex(laptop)}]
    await cluster.tenant("ann", tokens=both)
    await known(running, cluster, "ann")
    first, second = await hello(running, phone), await hello(running, laptop)
    begun = time.monotonic()
    await cluster.edit("ann", tokens=both[1:])
    code, _ = await first.closed()
    assert code == AUTH_CHANGED
    assert time.monotonic() - begun < 1.0
    assert await answers(second)
    stranger = await Client.open(running)
    assert (await stranger.hello(phone))["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"


async def test_an_expired_token_ends_its_sockets_within_a_second(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = new_token()
    await cluster.tenant("ann", tokens=[{"name": "phone", "sha256": token_hex(token)}])
    await known(running, cluster, "ann")
    client = await hello(running, token)
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    entry = {"name": "phone", "sha256": token_hex(token), "expiresAt": at.isoformat()}
    await cluster.edit("ann", tokens=[entry])
    code, _ = await client.closed()
    late = (datetime.now(UTC) - at).total_seconds()
    assert code == AUTH_CHANGED
    assert 0.0 <= late < 1.0


async def test_a_suspended_tenant_is_shut_out_and_not_woken(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await hello(running, token)
    await cluster.edit("ann", power="Suspended")
    await client.closed()
    refused = await Client.open(running)
    assert (await refused.hello(token))["error"]["details"]["reason"] == "tenant-suspended"
    await cluster.edit("ann", power="Auto")
    await eventually(lambda: running.why("ann")["power"] == "Auto", 5)
    await hello(running, token)


async def test_a_token_that_is_revoked_while_its_client_is_held_opens_nothing(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")

    node.broken = Node.bind  # and no more
    client = await Client.open(running)
    held = asyncio.create_task(client.hello(token))
    await eventually(lambda: node.pods, 10)
    await cluster.edit("ann", tokens=[])
    await eventually(lambda: running.fleet.find(bytes.fromhex(token_hex(token))) is None, 5)
    pod = node.pod_of("ann")
    ip = await node.start(pod)
    await node.status(pod, phase="Running", podIP=ip, podIPs=[{"ip": ip}])
    assert (await held)["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"


async def test_a_deleted_tenant_is_shut_out(cluster: Cluster, node: Node, running: RunningRouter) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await hello(running, token)
    await cluster.delete(TENANTS, "ann")
    assert (await client.closed())[0] == AUTH_CHANGED
    stranger = await Client.open(running)
    assert (await stranger.hello(token))["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"


async def test_of_two_tenants_with_one_token_the_older_keeps_it(cluster: Cluster, running: RunningRouter) -> None:
    token = await cluster.tenant("old")
    first = await cluster.get(TENANTS, "old")

    async def second_later() -> bool:
        """Wait until the API server's clock, which counts whole seconds, has gone on."""
        stamp = datetime.fromisoformat(first["metadata"]["creationTimestamp"])
        return datetime.now(UTC) >= stamp + timedelta(seconds=1)

    await eventually(second_later, 3)
    await cluster.tenant("new", token=token)
    await known(running, cluster, "new")
    match = running.fleet.find(bytes.fromhex(token_hex(token)))
    assert match is not None
    assert match.tenant.key == f"{cluster.namespace}/old"
    assert f"{cluster.namespace}/old" in running.why("new")["problem"]
    await cluster.delete(TENANTS, "old")
    await eventually(lambda: not running.fleet.knows(f"{cluster.namespace}/old"), 5)
    match = running.fleet.find(bytes.fromhex(token_hex(token)))
    assert match is not None
    assert match.tenant.key == f"{cluster.namespace}/new"
