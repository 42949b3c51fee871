"""What a template calls passive is no use of its tenants, as the operator sees it, and another template's are not touched by it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from kubernetes_world import Cluster, Node, RunningRouter, answers, hello, known

from deadlines import eventually
from tenant_api.kubernetes_names import TEMPLATES
from tenant_router.activity import TenantActivity

pytestmark = pytest.mark.cluster

POLL = 0.2
"""Seconds between two requests of a client."""
IDLE = 4.0
"""Seconds that stand for `idle.timeout`; the router looks at a client's requests once a second."""


@contextlib.asynccontextmanager
async def polling(running: RunningRouter, token: str) -> AsyncIterator[None]:
    """Have a client ask for `sessions.list` again and again while the block runs; one that is not answered fails it."""
    client = await hello(running, token)

    async def poll() -> None:
        while await answers(client):
            await asyncio.sleep(POLL)

    task = asyncio.create_task(poll())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.ws.close()


def idle_for(seen: TenantActivity) -> float:
    """Return what the operator makes of a router's activity: seconds without use."""
    return 0.0 if seen.opening else time.time() - max(seen.last_request, seen.last_seen)


async def test_requests_by_a_passive_method_keep_nobody_awake(
    cluster: Cluster, node: Node, running: RunningRouter
) -> None:
    await cluster.template("polled", idle={"passiveMethods": ["sessions.list"]})
    ann = await cluster.tenant("ann", templateRef={"name": "polled"})
    bob = await cluster.tenant("bob")
    seen = {}
    for name in ("ann", "bob"):
        await known(running, cluster, name)
        seen[name] = running.router.activity.of(f"{cluster.namespace}/{name}")
    async with polling(running, ann), polling(running, bob):
        await eventually(lambda: idle_for(seen["ann"]) > IDLE, 20, "ann is idle in spite of her client")
        assert idle_for(seen["bob"]) < IDLE / 2
        # The same connections, after an edit of the template: no sooner and no later for anybody else.
        await cluster.patch(TEMPLATES, "standard", {"spec": {"idle": {"passiveMethods": ["sessions.list"]}}})
        await cluster.patch(TEMPLATES, "polled", {"spec": {"idle": None}})
        await eventually(lambda: idle_for(seen["bob"]) > IDLE, 20, "bob is idle since his template says so")
        assert idle_for(seen["ann"]) < IDLE / 2
