"""A tenant is put to sleep as the operator does it, with its client parked; the client's next request wakes another pod."""

from __future__ import annotations

import pytest
from kubernetes_world import MASTER_KEY, Cluster, Node, RunningRouter, answers, hello, known

from deadlines import eventually
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer
from tenant_router.kubernetes.fleet import KubernetesFleet

pytestmark = pytest.mark.cluster


async def put_to_sleep(cluster: Cluster, running: RunningRouter, name: str) -> None:
    """Lead the conversation to its end and scale to 0."""
    key = f"{cluster.namespace}/{name}"
    address = running.fleet.awake(key)
    assert address is not None
    suspends = running.router.suspends

    async def fenced() -> bool:
        return (await suspends.fence(key, address.uid)).quiet

    await eventually(fenced, 10, "nothing is going on")
    prepared = await suspends.prepare(key, address.uid)
    assert prepared.status == "ready", prepared
    parked = await suspends.park(key, address.uid)
    assert (parked.parked, parked.closed) == (1, 0)
    await cluster.scale(name, 0)


async def test_a_parked_clients_request_wakes_another_pod(cluster: Cluster, node: Node, running: RunningRouter) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await hello(running, token)
    assert await answers(client)
    first = running.fleet.awake(f"{cluster.namespace}/ann")
    await put_to_sleep(cluster, running, "ann")
    await eventually(lambda: running.why("ann")["state"] == "asleep", 10, "the pod is gone")
    assert running.why("ann")["connections"] == 1
    assert await answers(client)
    second = running.fleet.awake(f"{cluster.namespace}/ann")
    assert first is not None
    assert second is not None
    assert first.uid != second.uid
    assert node.made == 2


async def test_a_request_just_behind_the_parking_waits_for_the_next_pod(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await hello(running, token)
    await put_to_sleep(cluster, running, "ann")
    # The old pod still answers, and its end is not seen yet.
    assert await answers(client)
    assert node.made == 2


async def test_a_parked_client_whose_token_is_revoked_is_closed(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await hello(running, token)
    await put_to_sleep(cluster, running, "ann")
    await cluster.edit("ann", tokens=[])
    assert (await client.closed())[0] == 4001
    assert await cluster.replicas("ann") == 0


async def test_a_pod_that_somebody_deletes_is_told_of_while_it_still_runs(cluster: Cluster, node: Node) -> None:
    told: list[tuple[str, int]] = []
    api = ApiServer(await ApiAccess.load())
    fleet = KubernetesFleet(
        api,
        (cluster.namespace,),
        MASTER_KEY,
        revoked=lambda *_: None,
        ending=lambda key: told.append((key, len(fleet.pods.of(key)))),
    )
    try:
        await fleet.start()
        await cluster.tenant("ann")
        await cluster.scale("ann", 1)
        key = f"{cluster.namespace}/ann"
        await eventually(lambda: (pod := fleet.pods.current(key)) is not None and pod.ip, 20, "it runs")
        assert told == []
        (pod,) = fleet.pods.of(key)
        # As an eviction does it: with the grace of its spec, which the kubelet gives it.
        await cluster.api.request("DELETE", cluster.path("pods", pod.name), body={"gracePeriodSeconds": 30})
        await eventually(lambda: told, 10, "the fleet has told")
        assert told[0][0] == key
        assert told[0][1] >= 1, "the pod was gone already"
    finally:
        await fleet.stop()
        await api.close()
