"""What clients see when a part of the system dies at the worst time. docs/failures.md has the table that this writes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio

from cluster import faults
from cluster.abilities import Ability
from cluster.fixtures import Cluster
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import ADMIN_PORT, SOON, WAKE_SECONDS, Release, activity
from e2e_cluster.seen import Seen, table
from openclaw_tenancy.demo.client import GatewayClient, Refused
from tenant_api.kubernetes_names import GROUP, TEMPLATES, VERSION, child_name

OUTAGE_SECONDS = 60.0
"""Longer than the routers' and the operator's request timeouts, and than leases live."""
FENCE_SECONDS = 30.0
"""After which a fence opens by itself: `LEASE` in the router's suspend/conversation.py."""
PREPARED_SECONDS = 120.0
"""For which a prepared gateway takes no requests: `PREPARED_FOR` there."""
BURST, FIRST = 80, 20
"""New tenants at once, and after how many the operator is killed: it makes hundreds in a second."""
CHILDREN = {"deployments": "/apis/apps/v1", "persistentvolumeclaims": "/api/v1", "secrets": "/api/v1"}
DOWN = (OSError, Refused, EOFError)


@pytest.fixture(scope="module")
def seen() -> Iterator[Seen]:
    with table("failures") as told:
        yield told


@pytest_asyncio.fixture
async def tenant(release: Release, request: pytest.FixtureRequest, model_address: str) -> AsyncIterator[str]:
    """A provisioned tenant that sleeps."""
    name = "fay-" + request.node.name.removeprefix("test_")[:20].replace("_", "-").strip("-")
    release.apply(release.template("fails", "native", model.config(model_address)), release.tenant(name, "fails"))
    await release.provisioned(name)
    yield name
    release.cluster.kubectl("delete", "tenant", name, "-n", release.tenants, "--wait=false")


def crash(release: Release, component: str) -> None:
    """End all processes of operator or router at once, by SIGKILL."""
    faults.crash(faults.processes(release.cluster.kubectl, release.namespace, release.pods_of(component)))


def lose(release: Release, component: str) -> None:
    """End all pods of operator or router as the loss of their node does: at once, and nothing that they sent still arrives."""
    kubectl = release.cluster.kubectl
    names = release.pods_of(component)
    uids = [kubectl.get("pod", name, "-n", release.namespace)["metadata"]["uid"] for name in names]
    faults.crash(faults.processes(kubectl, release.namespace, names))
    kubectl("delete", "pod", *names, "-n", release.namespace, "--force", "--grace-period=0")
    faults.gone(uids, SOON)


def delete(release: Release, component: str) -> None:
    """Delete all pods of operator or router by force: the API forgets them, and the kubelet gives them two seconds."""
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


@pytest.mark.parametrize("kill", [pytest.param(crash, marks=pytest.mark.needs(Ability.PARTS)), delete])
async def test_routers_killed_mid_wake(
    release: Release, tenant: str, kill: Callable[[Release, str], None], seen: Seen
) -> None:
    talking = asyncio.create_task(talk(release, tenant))
    await eventually(lambda: release.get("deployment", child_name(tenant))["spec"]["replicas"] == 1, SOON)
    await asyncio.to_thread(kill, release, "router")
    assert not talking.done(), "it was mid-wake"
    seconds = await talking
    assert len(release.pods(tenant)) == 1
    how = "SIGKILL" if kill is crash else "pods deleted by force"
    seen(f"all routers killed mid-wake ({how})", "its connection ends; it connects again and is answered", seconds)


@pytest.mark.needs(Ability.PARTS)
async def test_operators_killed_mid_provision(release: Release, model_address: str, seen: Seen) -> None:
    names = [f"gus-{number}" for number in range(BURST)]
    release.apply(*(release.tenant(name, "burst") for name in names))

    def refused() -> bool:
        tenants = {one["metadata"]["name"]: one for one in release.get("tenants")["items"]}
        return all((tenants[name].get("status") or {}).get("phase") == "Failed" for name in names)

    await eventually(refused, SOON, "all wait for their template")
    doomed = faults.processes(release.cluster.kubectl, release.namespace, release.pods_of("operator"))
    template = release.template("burst", "native", model.config(model_address))
    # Not by kubectl, which takes as long as the operator does for all of them.
    release.cluster.api.request("POST", f"/apis/{GROUP}/{VERSION}/namespaces/{release.tenants}/{TEMPLATES}", template)
    began = time.monotonic()
    await asyncio.wait_for(asyncio.to_thread(some_are_made, release, names), SOON)
    faults.crash(doomed)
    before = {kind: children(release, names, kind) for kind in CHILDREN}
    done = len(before["deployments"])
    assert FIRST <= done < BURST, f"the kill came too late, {done} of {BURST} were provisioned"
    await release.provisioned(*names)
    seen(
        f"all operators killed mid-provision, {done} of {BURST} new tenants had all their objects",
        "the others are Provisioned later; nothing is made twice or anew",
        time.monotonic() - began,
    )
    for kind, made in before.items():
        after = children(release, names, kind)
        assert len(after) == BURST
        assert {name: after[name] for name in made} == made, kind
    release.cluster.kubectl("delete", "tenant", *names, "-n", release.tenants, "--wait=false")


def some_are_made(release: Release, names: list[str]) -> None:
    """Wait until the first of these tenants have a Deployment; a watch tells it sooner than looking again and again."""
    path = f"{CHILDREN['deployments']}/namespaces/{release.tenants}/deployments"
    missing = {child_name(name) for name in names} - children(release, names, "deployments").keys()
    if BURST - len(missing) < FIRST:
        for event in release.cluster.api.watch(path, "0"):
            missing.discard(event["object"]["metadata"]["name"])
            if BURST - len(missing) >= FIRST:
                return


def children(release: Release, names: list[str], kind: str) -> dict[str, str]:
    """Of these tenants: UID by name."""
    wanted = {child_name(name) for name in names}
    items = release.cluster.api.get(f"{CHILDREN[kind]}/namespaces/{release.tenants}/{kind}")["items"]
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in items if one["metadata"]["name"] in wanted}


@pytest.fixture
def suspending(release: Release, model_address: str) -> Iterator[str]:
    """A tenant that falls asleep 2 s after it was last asked for something; its name.

    An operator that is cut off from the API server ends by itself 5 to 10 s later: it has to park before.
    """
    name = f"sue-{secrets.token_hex(2)}"
    quick = release.template("quick", "native", model.config(model_address), idle={"timeout": "2s"})
    release.apply(quick, release.tenant(name, "quick"))
    yield name
    release.cluster.kubectl("delete", "tenant", name, "-n", release.tenants, "--wait=false")


@pytest.mark.needs(Ability.PARTS)
async def test_operators_lost_before_they_park(release: Release, suspending: str, seen: Seen) -> None:
    """Fences are closed and the gateway has prepared itself; nobody goes on until a successor has the Lease."""
    node = release.cluster.scratch
    assert node
    await release.provisioned(suspending)
    async with release.client(suspending) as client:
        assert await _says(client, "before")
        gateway = release.pods(suspending)[0]["metadata"]["uid"]
        park = ("-p", "tcp", "--dport", str(ADMIN_PORT), "-m", "string", "--algo", "bm", "--string", '"step": "park"')
        with faults.held_back(node, "FORWARD", *park) as held:
            await eventually(lambda: held.packets > 0, SOON, "it has prepared itself, and is to be parked")
            assert release.get("deployment", child_name(suspending))["spec"]["replicas"] == 1
            began = time.monotonic()
            await asyncio.to_thread(lose, release, "operator")
        assert await _says(client, "after", FENCE_SECONDS + SOON)
        seconds = time.monotonic() - began
        assert release.pods(suspending)[0]["metadata"]["uid"] == gateway, "the fence opened, nobody slept"
    seen(
        "all operators lost mid-suspend, the gateway prepared, its clients behind the fence",
        "nothing on its connection; what it asks waits for the next operator, and the same gateway answers",
        seconds,
    )
    await release.asleep(suspending)


@pytest.mark.patient
@pytest.mark.needs(Ability.PARTS)
async def test_operators_lost_before_they_scale(release: Release, suspending: str, seen: Seen) -> None:
    """Clients are parked, and the gateway that they were taken from still runs, prepared for its end."""
    node = release.cluster.scratch
    assert node
    await release.provisioned(suspending)
    key = f"{release.tenants}/{suspending}"
    routers, operators = release.pods_of("router"), operator_addresses(release)
    api = ("-p", "tcp", "--dport", str(release.cluster.api_endpoints[0][1]))
    async with release.client(suspending) as client:
        assert await _says(client, "before")
        # The kubelet says so later than the gateway answers, and whom the operator does not know to be awake it leaves alone.
        await release.awake(suspending)
        assert await _says(client, "once more")
        with contextlib.ExitStack() as cut:
            for address in operators:
                cut.enter_context(faults.held_back(node, "INPUT", "-s", address, *api))
            await eventually(lambda: asyncio.to_thread(is_parked, release, key, routers), SOON, "its client is parked")
            assert release.get("deployment", child_name(suspending))["spec"]["replicas"] == 1
            began = time.monotonic()
            await asyncio.to_thread(lose, release, "operator")
    # Nobody has told the routers that this gateway goes on: they take it for asleep as long as it is prepared.
    seconds = await talk(release, suspending, PREPARED_SECONDS + WAKE_SECONDS)
    seen(
        "all operators lost mid-suspend, its clients parked, its pod not yet scaled down",
        "“not yet” when it asks for something or connects, then it is answered",
        time.monotonic() - began,
    )
    assert seconds < PREPARED_SECONDS + SOON
    await release.asleep(suspending)


def operator_addresses(release: Release) -> list[str]:
    """Addresses of the operator's pods."""
    pods = [release.cluster.kubectl.get("pod", name, "-n", release.namespace) for name in release.pods_of("operator")]
    return [pod["status"]["podIP"] for pod in pods]


def is_parked(release: Release, key: str, routers: list[str]) -> bool:
    """Whether a client of this tenant is parked on any router."""
    return any(activity(release, router).get(key, {}).get("parked") for router in routers)


@pytest.mark.needs(Ability.PARTS)
async def test_kubelet_restarted_under_a_live_session(
    node_cluster: Cluster, release: Release, tenant: str, seen: Seen
) -> None:
    async with release.client(tenant) as client:
        await client.call("health")
        gateway = release.pods(tenant)[0]["metadata"]["uid"]
        node_cluster.stop("kubelet")
        assert await _says(client, "without a kubelet")
        began = time.monotonic()
        node_cluster.start("kubelet")
        assert await _says(client, "with one again")
        seconds = time.monotonic() - began
    assert release.pods(tenant)[0]["metadata"]["uid"] == gateway
    seen("kubelet stopped and started again", "nothing: turns go on, without it and after", seconds)


@pytest.mark.needs(Ability.PARTS)
async def test_api_server_away_for_a_minute(node_cluster: Cluster, release: Release, tenant: str, seen: Seen) -> None:
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
    seen(
        f"API server away for {back - down:.0f} s",
        f"awake: nothing, {turns} turns and as many new connections went on",
        0.0,
    )
    seen(
        f"API server away for {back - down:.0f} s",
        "asleep: “not yet” until it is back, then the cluster's controllers "
        f"(scaled {patched:.1f} s after, pod made {made:.1f} s after)",
        time.monotonic() - back,
    )
    release.cluster.kubectl("delete", "tenant", other, "-n", release.tenants, "--wait=false")


async def _says(client: GatewayClient, text: str, timeout: float = 20.0) -> str:
    async with asyncio.timeout(timeout):
        return "".join([piece async for piece in client.chat(text)])
