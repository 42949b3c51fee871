"""Two routers, as processes of their own: what is taken away is taken away on each of them."""

from __future__ import annotations

import asyncio
import time

import pytest
from kubernetes_process import Replicas
from kubernetes_world import Cluster, Node, answers, hello
from router_world import Client

from tenant_api.tokens import new_token, token_hex

pytestmark = pytest.mark.cluster

AUTH_CHANGED = (4001, "gateway auth changed")
"""What upstream's gateway closes with when its token is rotated; what its clients then try is refused for good."""
PROMISED = 1.0
"""Seconds from the edit of a Tenant until the sockets of a token that it took away are closed, on whichever replica they are."""


async def test_a_revoked_token_ends_its_sockets_on_every_replica_within_a_second_and_no_others(
    cluster: Cluster, node: Node, replicas: Replicas
) -> None:
    phone, laptop = new_token(), new_token()
    both = [{"name": "phone", "sha256": token_hex(phone)}, {"name": "laptop", "sha256": token_hex(laptop)}]
    await cluster.tenant("ann", tokens=both)
    routers = await asyncio.gather(*[(await replicas.start()).ready() for _ in range(2)])
    assert routers[0].process.pid != routers[1].process.pid
    stolen = [await hello(router, phone) for router in routers for _ in range(3)]
    mine = [await hello(router, laptop) for router in routers]
    begun = time.monotonic()

    async def closed(client: Client) -> tuple[tuple[int | None, str | None], float]:
        return await client.closed(), time.monotonic() - begun

    waiting = [asyncio.create_task(closed(client)) for client in stolen]
    await cluster.edit("ann", tokens=both[1:])
    ends = await asyncio.gather(*waiting)
    assert {end for end, _ in ends} == {AUTH_CHANGED}
    took = [seconds for _, seconds in ends]
    assert max(took) < PROMISED, f"from the PATCH to each close: {took}"
    assert [await answers(client) for client in mine] == [True, True]
    for router in routers:
        stranger = await Client.open(router)
        assert (await stranger.hello(phone))["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
