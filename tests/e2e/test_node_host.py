"""`openclaw node run`, unmodified, through the router from asleep: pairing as upstream has it, then its commands."""

from __future__ import annotations

import json

import pytest

from clients.node_host import NAME, node_host
from deadlines import eventually
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

WAKE = 120.0
SOON = 90.0


async def test_node_is_approved_once_and_lends_its_commands(world: World) -> None:
    """Approval is upstream's: first the device (a key of the router's for this node), then the commands."""
    await world.asleep("bert")
    node, owner = world.cli("bert"), world.cli("bert")

    async with node_host(node) as host:
        (request,) = (await host.says(r"device pairing required \(requestId: ([0-9a-f-]{36})\)", WAKE)).groups()
        await host.says("waiting for operator action", SOON)
    approved = await owner.run("devices", "approve", request, "--json", "--timeout", "60000")
    assert approved.ok().json["device"]["role"] == "node"

    async with node_host(node) as host, world.client("bert") as client:
        await host.says("node host gateway connected", SOON)

        async def pending() -> str | None:
            return next((one["requestId"] for one in (await client.call("node.pair.list"))["pending"]), None)

        request = await eventually(pending, SOON, "its commands wait for approval") or ""
        (await owner.run("nodes", "approve", request, "--json", "--timeout", "60000")).ok()

        async def lends() -> bool:
            nodes = (await client.call("node.list"))["nodes"]
            return any(one["connected"] and "system.which" in one.get("commands", ()) for one in nodes)

        await eventually(lends, SOON, "its commands are approved")
        params = json.dumps({"bins": ["sh"]})
        asked = await owner.run(
            "nodes", "invoke", "--node", NAME, "--command", "system.which", "--params", params, "--json"
        )
        assert asked.ok().json["payload"]["bins"]["sh"].endswith("/sh")


async def test_node_with_a_wrong_token_ends_and_wakes_nobody(world: World) -> None:
    await world.asleep("anna")
    async with node_host(world.cli("anna", token="not-the-token")) as host:
        await host.says("AUTH_TOKEN_MISMATCH", SOON)
        assert await host.exit(SOON) != 0
    assert world.gateways("anna") == []


async def test_native_gateway_refuses_nodes_once(world: World) -> None:
    """It has no nodes. A client that tried again and again would wake it again and again."""
    await world.asleep("anna")
    async with node_host(world.cli("anna")) as host:
        await host.says(r"reconnect paused after close \(1008\): this gateway does not serve nodes", SOON)
        await host.says("waiting for operator action", SOON)
        assert host.process.returncode is None  # a supervisor would start it again
    assert host.said.count("gateway closed (1008)") == 1
