"""Wakes that can't succeed: they fail fast, say why in the cluster's words, are counted, and succeed once it is mended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from kubernetes_world import Broken, Cluster, Node, RunningRouter, hello, known
from router_world import Client

from deadlines import eventually
from tenant_api.kubernetes_names import TENANTS, child_name
from tenant_router.kubernetes.access import ApiAccess

pytestmark = pytest.mark.cluster


async def image(node: Node, pod: dict[str, Any]) -> None:
    await node.bind(pod)
    text = 'Container image "localhost/gateway:1" is not present with pull policy of Never'
    await node.waiting(pod, "ErrImageNeverPull", text)


async def no_node(node: Node, pod: dict[str, Any]) -> None:
    await unschedulable(node, pod, "0/1 nodes are available: 1 Insufficient memory.")


async def claim(node: Node, pod: dict[str, Any]) -> None:
    await unschedulable(node, pod, "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    text = 'storageclass "fast" not found'
    await node.cluster.warn("PersistentVolumeClaim", child_name("ann"), "ProvisioningFailed", text)


async def unschedulable(node: Node, pod: dict[str, Any], text: str) -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    await node.status(pod, conditions=[condition])


async def mount(node: Node, pod: dict[str, Any]) -> None:
    await node.bind(pod)
    text = 'MountVolume.SetUp failed for volume "config" : secret "openclaw-ann" not found'
    await node.cluster.warn("Pod", pod["metadata"]["name"], "FailedMount", text, pod["metadata"]["uid"])


async def crash(node: Node, pod: dict[str, Any]) -> None:
    await node.bind(pod)
    last = {"terminated": {"exitCode": 78, "reason": "Error", "message": "bad config"}}
    await node.status(pod, podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}])
    await node.waiting(pod, "CrashLoopBackOff", "back-off 10s", restartCount=2, lastState=last)


@pytest.mark.parametrize(
    ("broken", "cause", "words", "within"),
    [
        (image, "image", "ErrImageNeverPull", 3.0),
        (no_node, "no_node", "Insufficient memory", 6.0),
        (claim, "volume", 'storageclass "fast" not found', 6.0),
        (mount, "volume", 'secret "openclaw-ann" not found', 6.0),
        (crash, "crash", "exit had code 78: Error: bad config", 3.0),
    ],
)
async def test_it_fails_fast_in_the_clusters_words_and_recovers(
    cluster: Cluster, node: Node, running: RunningRouter, broken: Broken, cause: str, words: str, within: float
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    node.broken = broken
    held = await failing(running, token, cause, words, within)
    # Mended while the client is still held: it gets its hello.
    node.broken = None
    await cluster.delete("pods", node.pod_of("ann")["metadata"]["name"])
    answer = await held
    assert answer["ok"], answer
    assert running.why("ann")["state"] == "awake"


async def failing(
    running: RunningRouter, token: str, cause: str, words: str, within: float
) -> asyncio.Task[dict[str, Any]]:
    """Connect, see the wake fail within some seconds for the right reason while the client is held; return its answer to be."""
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
    return held


async def test_an_exceeded_quota_is_told_by_the_replica_sets_events(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    await cluster.quota("small", pods=0)
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    held = await failing(running, token, "quota", "exceeded quota: small", 3.0)
    # Another client of a router that was started since hears it too: the Deployment stands at 1 replica, nothing new happens.
    second = await RunningRouter(cluster, await ApiAccess.load()).start()
    try:
        other = await failing(second, token, "quota", "exceeded quota: small", 6.0)
        other.cancel()
    finally:
        await second.stop()
    await cluster.delete("resourcequotas", "small")
    # The ReplicaSet tries again in its own time; a wake is there at once when the operator's 0 was in between.
    await cluster.scale("ann", 0)
    answer = await held
    assert answer["ok"], answer


async def test_a_pod_that_admission_refuses_is_told(cluster: Cluster, node: Node, running: RunningRouter) -> None:
    token = await cluster.tenant("ann", provisioned=False)
    await cluster.deployment("ann", allowPrivilegeEscalation=True)
    await known(running, cluster, "ann")
    held = await failing(running, token, "pod_refused", "violates PodSecurity", 3.0)
    held.cancel()


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

    node.broken = Node.bind  # and no more
    client = await Client.open(running)
    probe = {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "probe"}
    answer = await client.hello(token, client=probe)
    assert answer["error"]["details"]["reason"] == "startup-sidecars"
    assert running.why("ann")["waking"]
    pod = node.pod_of("ann")
    ip = await node.start(pod)
    await node.status(pod, phase="Running", podIP=ip, podIPs=[{"ip": ip}])
    await hello(running, token)
    assert running.why("ann")["wakes"] == 1


async def test_a_wake_that_gets_no_pod_at_all_ends_with_a_reason(cluster: Cluster, running: RunningRouter) -> None:
    await cluster.template_wake("3s")
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    await eventually(lambda: running.wake_timeout("ann") == 3.0, 5)
    client = await Client.open(running)
    held = asyncio.create_task(client.hello(token))
    failure = await eventually(lambda: running.why("ann")["lastFailure"], 6)
    assert failure["cause"] == "timeout"
    assert "got no address (Pending) within 3 s" in failure["text"]
    held.cancel()


async def test_a_client_in_front_of_what_only_a_person_can_mend_hears_the_kind_and_nothing_of_the_cluster(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    node.broken = crash
    client = await Client.open(running)
    error = (await client.hello(token))["error"]
    assert error["details"]["reason"] == "gateway-cannot-start"
    assert error["message"].endswith("(crash)")
    node.broken = None
    await cluster.delete("pods", node.pod_of("ann")["metadata"]["name"])
    await hello(running, token)


async def test_an_http_client_hears_the_kind_of_trouble_and_nothing_of_the_cluster(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(running, cluster, "ann")
    node.broken = image
    host, port = running.address
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:{port}/v1/models", headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        text = await answer.text()
    assert "(image)" in text
    assert "localhost" not in text
