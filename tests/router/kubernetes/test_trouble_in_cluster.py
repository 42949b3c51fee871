"""Wakes that can't succeed: they fail fast, say why in the cluster's words, are counted, and succeed once it is mended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from kubernetes_world import Cluster, Node, RunningRouter, hello, known
from router_world import Client

from deadlines import eventually
from tenant_api.kubernetes_names import TENANTS, child_name
from tenant_router.kubernetes.errors import ApiRefused

pytestmark = pytest.mark.cluster

Break = Callable[[Cluster, Node, str], Awaitable[None]]


async def quota(cluster: Cluster, node: Node, name: str) -> None:
    """What the ReplicaSet controller does when a real ResourceQuota refuses its pod."""
    try:
        await node.pod(name)
    except ApiRefused as refused:
        await cluster.warn(
            "ReplicaSet", f"{child_name(name)}-5d4f9c", "FailedCreate", f"Error creating: {refused.message}"
        )
        node.pods[name] = {}
    else:
        raise AssertionError("the quota did not refuse")


async def image(cluster: Cluster, node: Node, name: str) -> None:
    await node.pod(name)
    await node.waiting(
        name, "ErrImageNeverPull", 'Container image "localhost/none:1" is not present with pull policy of Never'
    )


async def no_node(cluster: Cluster, node: Node, name: str) -> None:
    await node.pod(name, nodeName=None)
    text = "0/1 nodes are available: 1 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    await node.status(name, conditions=[condition])


async def claim(cluster: Cluster, node: Node, name: str) -> None:
    await node.pod(name, nodeName=None)
    text = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    await node.status(name, conditions=[condition])
    await cluster.warn("PersistentVolumeClaim", child_name(name), "ProvisioningFailed", 'storageclass "fast" not found')


async def mount(cluster: Cluster, node: Node, name: str) -> None:
    pod = await node.pod(name)
    text = 'MountVolume.SetUp failed for volume "config" : secret "openclaw-ann" not found'
    await cluster.warn("Pod", pod["metadata"]["name"], "FailedMount", text, pod["metadata"]["uid"])


async def crash(cluster: Cluster, node: Node, name: str) -> None:
    await node.pod(name)
    last = {"terminated": {"exitCode": 78, "reason": "Error", "message": "bad config"}}
    await node.status(name, podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}])
    await node.waiting(
        name, "CrashLoopBackOff", "back-off 10s restarting failed container", restartCount=2, lastState=last
    )


@pytest.mark.parametrize(
    ("broken", "cause", "words", "within"),
    [
        (quota, "quota", "exceeded quota: small", 3.0),
        (image, "image", "ErrImageNeverPull", 3.0),
        (no_node, "no_node", "Insufficient memory", 6.0),
        (claim, "volume", 'storageclass "fast" not found', 6.0),
        (mount, "volume", 'secret "openclaw-ann" not found', 6.0),
        (crash, "crash", "exit had code 78: Error: bad config", 3.0),
    ],
)
async def test_it_fails_fast_in_the_clusters_words_and_recovers(
    cluster: Cluster, node: Node, running: RunningRouter, broken: Break, cause: str, words: str, within: float
) -> None:
    if broken is quota:
        await cluster.quota("small", pods=0)
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    node.broken = lambda name: broken(cluster, node, name)
    client = await Client.open(running)
    begun = time.monotonic()
    held = asyncio.create_task(client.hello(token))
    failure = await eventually(lambda: running.why("ann")["lastFailure"], within, "the wake has failed")
    assert time.monotonic() - begun < within
    assert failure["cause"] == cause
    assert words in failure["text"]
    assert running.failures(cause) >= 1
    assert running.why("ann")["state"] == "failed"
    assert not held.done()
    # Mended while the client is still held: it gets its hello.
    node.broken = None
    if broken is quota:
        await cluster.delete("resourcequotas", "small")
        node.pods.clear()
    else:
        await node.remove("ann")
    answer = await held
    assert answer["ok"], answer
    assert running.why("ann")["state"] == "awake"


async def test_a_tenant_that_is_not_provisioned_yet_says_so_and_is_served_once_it_is(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann", provisioned=False)
    condition = {"type": "Provisioned", "status": "False", "reason": "BadTemplate", "message": "line 3: no brace"}
    await cluster.patch(TENANTS, "ann", {"status": {"conditions": [condition]}}, "status")
    await known(running, cluster, "ann")
    held = asyncio.create_task(hello(running, token))
    failure = await eventually(lambda: running.why("ann")["lastFailure"], 5)
    assert failure["cause"] == "not_provisioned"
    await eventually(lambda: "line 3: no brace" in running.why("ann")["lastFailure"]["text"], 5)
    await cluster.deployment("ann")
    await held


async def test_a_client_that_is_held_too_long_hears_not_yet_and_the_wake_goes_on(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")

    async def slow(name: str) -> None:
        if name not in node.pods:
            await node.pod(name)

    node.broken = slow
    client = await Client.open(running)
    probe = {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "probe"}
    answer = await client.hello(token, client=probe)
    assert answer["error"]["details"]["reason"] == "startup-sidecars"
    assert running.why("ann")["waking"]
    node.broken = None
    await node.remove("ann")
    await hello(running, token)
    assert running.why("ann")["wakes"] == 1


async def test_a_wake_that_gets_no_pod_at_all_ends_with_a_reason(cluster: Cluster, running: RunningRouter) -> None:
    await cluster.template_wake("3s")
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    client = await Client.open(running)
    held = asyncio.create_task(client.hello(token))
    failure = await eventually(lambda: running.why("ann")["lastFailure"], 6)
    assert failure["cause"] == "timeout"
    assert "no pod was made within 3 s" in failure["text"]
    held.cancel()
