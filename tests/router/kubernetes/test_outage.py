"""The API server goes away and comes back: what runs goes on, what must wake waits, and nothing that changed is missed."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import pytest
from kubernetes_world import Cluster, Line, Node, RunningRouter, answers, hello, known
from router_world import Client

from cluster.fixtures import Cluster as KubernetesCluster
from deadlines import eventually

pytestmark = pytest.mark.cluster

log = logging.getLogger(__name__)


async def test_live_sessions_and_awake_tenants_do_not_notice(
    cluster: Cluster, node: Node, line: Line, distant: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(distant, cluster, "ann")
    client = await hello(distant, token)
    await line.cut()
    await eventually(lambda: not distant.why("ann")["api"]["upToDate"], 5)
    assert await answers(client)
    second = await hello(distant, token)
    assert await answers(second)
    stranger = await Client.open(distant)
    assert (await stranger.hello("no such token"))["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    await line.mend()
    await eventually(lambda: distant.why("ann")["api"]["upToDate"], 10)
    assert await answers(client)


async def test_a_wake_waits_for_the_api_server_and_goes_on_when_it_is_back(
    cluster: Cluster, node: Node, line: Line, distant: RunningRouter
) -> None:
    tokens = [await cluster.tenant(name) for name in ("ann", "ben")]
    for name in ("ann", "ben"):
        await known(distant, cluster, name)
    await line.cut()
    held = [asyncio.create_task(hello(distant, token)) for token in tokens]
    await eventually(lambda: all(distant.why(name)["waking"] for name in ("ann", "ben")), 5)
    await eventually(lambda: not distant.why("ann")["api"]["upToDate"], 5)
    assert not any(task.done() for task in held)
    await line.mend()
    await asyncio.gather(*held)


async def test_connections_that_died_without_a_word_cost_a_wake_seconds_and_not_its_life(
    cluster: Cluster, node: Node, line: Line, distant: RunningRouter
) -> None:
    await cluster.tenant("ann")
    await known(distant, cluster, "ann")
    record = distant.fleet.record(f"{cluster.namespace}/ann")
    assert record is not None
    line.freeze()
    address = await asyncio.wait_for(distant.router.waker.address(record, "operator", "a test"), 19)
    assert address.host.startswith("127.")
    # Nobody has told the watch anything: the wake has looked for itself.
    assert distant.why("ann")["api"]["upToDate"]


async def test_what_was_revoked_meanwhile_is_closed_as_soon_as_it_is_back(
    cluster: Cluster, node: Node, line: Line, distant: RunningRouter
) -> None:
    token = await cluster.tenant("ann")
    await known(distant, cluster, "ann")
    client = await hello(distant, token)
    await line.cut()
    await cluster.edit("ann", tokens=[])
    assert await answers(client)
    await line.mend()
    assert (await client.closed())[0] == 4001


async def test_a_wake_gives_up_at_its_limit_and_says_what_was_missing(
    cluster: Cluster, line: Line, distant: RunningRouter
) -> None:
    await cluster.template_wake("2s")
    token = await cluster.tenant("ann")
    await known(distant, cluster, "ann")
    await eventually(lambda: distant.wake_timeout("ann") == 2.0, 5)
    await line.cut()
    client = await Client.open(distant)
    held = asyncio.create_task(client.hello(token))
    failure = await eventually(lambda: distant.why("ann")["lastFailure"], 5)
    assert failure["cause"] == "api_unreachable"
    held.cancel()


OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "8"))
"""Seconds that the API server is stopped; 60 were tried by hand."""


async def test_the_api_server_is_stopped_during_live_sessions(
    prepared: KubernetesCluster, cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    live, asleep = await cluster.tenant("ann"), await cluster.tenant("ben")
    await known(running, cluster, "ben")
    client = await hello(running, live)
    await asyncio.to_thread(prepared.stop, "apiserver")
    try:
        await eventually(lambda: not running.why("ann")["api"]["upToDate"], 10)
        begun = time.monotonic()
        waiting = asyncio.create_task(connect_until_served(running, asleep))
        while time.monotonic() - begun < OUTAGE:
            assert await answers(client)
            assert await answers(await hello(running, live))
            await asyncio.sleep(0.5)
        assert not waiting.done()
    finally:
        await asyncio.to_thread(prepared.start, "apiserver")
    back = time.monotonic()

    async def scaled() -> bool:
        return await cluster.replicas("ben") == 1

    await eventually(scaled, 20, "the wake has gone out")
    patched = time.monotonic() - back
    # The controllers' informers back off for up to half a minute by then: that is not the router's to hasten.
    await asyncio.wait_for(waiting, 120)
    log.warning("after the API server was back: scaled %.1f s, served %.1f s", patched, time.monotonic() - back)
    assert await answers(client)
    await eventually(lambda: running.why("ann")["api"]["upToDate"], 10)


async def connect_until_served(running: RunningRouter, token: str) -> None:
    """Do as every client of OpenClaw does: come back when it hears "not yet"."""
    while True:
        client = await Client.open(running)
        answer = await client.hello(token)
        if answer["ok"]:
            return
        assert answer["error"]["details"]["reason"] == "startup-sidecars"
        await client.closed()
