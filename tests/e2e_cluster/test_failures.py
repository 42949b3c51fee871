"""What clients see when a part of the system dies at the worst time. Each test tells what it saw (`-rP` shows it)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cluster.fixtures import Cluster
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import SOON, WAKE_SECONDS, Release
from openclaw_tenancy.demo.client import GatewayClient, Refused
from tenant_api.kubernetes_names import child_name

OUTAGE_SECONDS = 60.0
"""Longer than the routers' and the operator's request timeouts, and than leases live."""
DOWN = (OSError, Refused, EOFError)


@pytest_asyncio.fixture
async def tenant(release: Release, request: pytest.FixtureRequest, model_address: str) -> AsyncIterator[str]:
    """A provisioned tenant that sleeps."""
    name = "fay-" + request.node.name.removeprefix("test_")[:20].replace("_", "-").strip("-")
    release.apply(release.template("fails", "native", model.config(model_address)), release.tenant(name, "fails"))
    await release.provisioned(name)
    yield name
    release.cluster.kubectl("delete", "tenant", name, "-n", release.tenants, "--wait=false")


def kill(release: Release, component: str) -> None:
    """End all pods of operator or router at once, without a chance to say goodbye."""
    pods = release.pods_of(component)
    release.cluster.kubectl("delete", "pod", *pods, "-n", release.namespace, "--force", "--grace-period=0")


async def talk(release: Release, name: str, timeout: float = WAKE_SECONDS) -> float:
    """Connect as a client that does not give up; return the seconds until a call was answered."""
    began = time.monotonic()
    async with asyncio.timeout(timeout):
        while True:
            try:
                async with release.client(name) as client:
                    await client.call("health")
                    return time.monotonic() - began
            except Exception as error:
                if not _may_pass(error):
                    raise
                await asyncio.sleep(0.2)


def _may_pass(error: Exception) -> bool:
    """Whether a client tries again: the connection ended or was refused, not its token."""
    return isinstance(error, DOWN) or type(error).__module__.startswith("websockets")


async def test_routers_killed_mid_wake(release: Release, tenant: str) -> None:
    talking = asyncio.create_task(talk(release, tenant))
    await eventually(lambda: release.get("deployment", child_name(tenant))["spec"]["replicas"] == 1, SOON)
    await asyncio.to_thread(kill, release, "router")
    seconds = await talking
    assert len(release.pods(tenant)) == 1
    print(f"both routers killed mid-wake: the client's call was answered {seconds:.1f} s after it began")


async def test_operators_killed_mid_provision(release: Release) -> None:
    names = [f"gus-{number}" for number in range(5)]
    release.apply(*(release.tenant(name, "native") for name in names))
    began = time.monotonic()
    kill(release, "operator")
    await eventually(lambda: _provisioned(release, names), 90, "provisioned by the new operator")
    print(f"operators killed mid-provision: all Provisioned after {time.monotonic() - began:.1f} s")
    for kind in ("deployment", "pvc", "secret"):
        found = [item["metadata"]["name"] for item in release.get(kind)["items"]]
        assert all(found.count(child_name(name)) == 1 for name in names)
    release.cluster.kubectl("delete", "tenant", *names, "-n", release.tenants)


def _provisioned(release: Release, names: list[str]) -> bool:
    return all(release.condition(name, "Provisioned").get("status") == "True" for name in names)


async def test_operators_killed_mid_suspend(release: Release, tenant: str) -> None:
    await talk(release, tenant)
    patch = '-p={"spec":{"power":"Suspended"}}'
    release.cluster.kubectl("patch", "tenant", tenant, "-n", release.tenants, "--type=merge", patch)
    began = time.monotonic()
    kill(release, "operator")
    await release.asleep(tenant, 120)
    print(f"operators killed mid-suspend: pod gone after {time.monotonic() - began:.1f} s")
    assert release.get("pvc", child_name(tenant))["status"]["phase"] == "Bound"


async def test_kubelet_restarted_under_a_live_session(node_cluster: Cluster, release: Release, tenant: str) -> None:
    async with release.client(tenant) as client:
        await client.call("health")
        node_cluster.stop("kubelet")
        assert await _says(client, "without a kubelet")
        node_cluster.start("kubelet")
        assert await _says(client, "with one again")
    print("kubelet restarted: the session went on, turn by turn")


async def test_api_server_away_for_a_minute(node_cluster: Cluster, release: Release, tenant: str) -> None:
    other = f"{tenant}-2"
    release.apply(release.tenant(other, "fails"))
    await release.provisioned(other)
    async with release.client(tenant) as client:
        await client.call("health")
        node_cluster.stop("apiserver")
        down = time.monotonic()
        waking = asyncio.create_task(talk(release, other, OUTAGE_SECONDS + WAKE_SECONDS))
        turns = 0
        while time.monotonic() - down < OUTAGE_SECONDS:
            assert await _says(client, f"turn {turns}")
            turns += 1
            async with release.client(tenant) as fresh:
                await fresh.call("health")
            await asyncio.sleep(1)
        assert not waking.done()
        await asyncio.to_thread(node_cluster.start, "apiserver")
        back = time.monotonic()
        # What is ours of the wake: the patch. All after it is the cluster's own controllers, which come back one by one.
        await eventually(lambda: release.get("deployment", child_name(other))["spec"]["replicas"] == 1, SOON)
        patched = time.monotonic() - back
        await eventually(lambda: release.pods(other), SOON)
        made = time.monotonic() - back
        await waking
        assert await _says(client, "after the outage")
    print(
        f"API server away for {back - down:.0f} s: {turns} turns and as many new connections of an awake tenant went on; "
        f"a sleeping one was woken {patched:.1f} s after it was back (pod made {made:.1f} s, answered "
        f"{time.monotonic() - back:.1f} s)"
    )
    release.cluster.kubectl("delete", "tenant", other, "-n", release.tenants, "--wait=false")


async def _says(client: GatewayClient, text: str) -> str:
    async with asyncio.timeout(20):
        return "".join([piece async for piece in client.chat(text)])
