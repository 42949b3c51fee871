"""A rollout of the routers as the chart does it, with 200 clients connected: parked, quiet, and in a turn."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from kubernetes_world import Cluster, Node
from lasting_client import LastingClient
from native_world import provider
from rollout_world import CHART, Routers, ServiceFront, chart_objects

from clients.openclaw_cli import OpenClawCli
from clients.tui import tui
from cluster.fixtures import Cluster as KubernetesCluster
from cluster.gotools import GoTools
from cluster.layout import Layout
from cluster.programs import run
from cluster.progress import Progress
from deadlines import eventually
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_api.kubernetes_names import TENANT_LABEL
from tenant_local.runtimes.openclaw_install import OpenClawRuntime

pytestmark = [pytest.mark.cluster, pytest.mark.patient, pytest.mark.openclaw]

EACH = 10
"""Clients a tenant."""
PARKED, QUIET, TALKING = 8, 8, 4
"""Tenants whose clients are parked; are connected and silent, but for some that write; are in a turn each."""
PULL = 8.0
"""Seconds for a new replica's image: longer than an old one's preStop, so that one after the other would be seen."""
LASTS = 70.0
"""Seconds for the rollout: the new ones' start, preStop, the drain."""
TROUBLE = ("failed", "rror", "interruption", "unreachable", "gap")
"""Words of upstream's TUI for what went wrong. A reconnect is told in one line of its log, as at any restart of a gateway."""


@pytest.fixture(scope="session")
def chart(prepared: KubernetesCluster) -> Callable[[], str]:
    """What helm renders of the chart with its own values."""
    layout = Layout.default()
    GoTools(layout, Progress()).ensure(("helm",))
    env = {"KUBECONFIG": str(prepared.kubeconfig)}
    argv = [str(layout.program("helm")), "template", "rel", str(CHART), "--kube-version", "1.37.2"]
    return lambda: run(argv, timeout=60, env=env)


@pytest.mark.timeout(300)
async def test_nobody_sees_a_rollout_and_each_client_moves_at_most_once(
    cluster: Cluster,
    node: Node,
    llm: FakeLLM,
    chart: Callable[[], str],
    openclaw: OpenClawRuntime,
    tmp_path: Path,
) -> None:
    models = {"mode": "replace", "providers": {"local": provider(llm.base_url)}}
    node.models = {"models": models, "agents": {"defaults": {"model": {"primary": "local/fake-model"}}}}
    groups = {"parked": PARKED, "quiet": QUIET, "talking": TALKING}
    names = {group: [f"{group}-{number}" for number in range(count)] for group, count in groups.items()}
    for name in [name for group in names.values() for name in group]:
        await cluster.tenant(name)
    deployment, service = chart_objects(chart())
    routers = Routers(cluster, tmp_path, deployment, service)
    front = ServiceFront(cluster, service["metadata"]["name"])
    async with routers.running(), front.running():
        await eventually(
            lambda: len(routers.serving) == len(front.hosts) == 2, 60, "both routers are behind the Service"
        )
        clients = {
            group: [
                LastingClient(front.url, cluster.tokens[name], f"c{n}") for name in names[group] for n in range(EACH)
            ]
            for group in groups
        }
        everyone = [client for group in clients.values() for client in group]
        person = OpenClawCli(openclaw, tmp_path / "person", front.url, cluster.tokens[names["quiet"][-1]])
        try:
            async with tui(person) as screen:
                await screen.shows("connected | idle", 120)
                await screen.say("good morning")
                await screen.shows("You said: good morning", 60)
                await an_evening(cluster, routers, clients, everyone, names["parked"])
                await screen.say("good evening")
                await screen.shows("You said: good evening", 60)
                told = await screen.screen()
                assert told.count("reconnected after") == 1, told
                assert "You said: good morning" in told
                assert not [word for word in TROUBLE if word in told], told
        finally:
            await asyncio.gather(*(client.close() for client in everyone))
    shown = [trouble for client in everyone for trouble in client.shown]
    assert not shown
    assert max(client.reconnects for client in everyone) <= 1


async def an_evening(
    cluster: Cluster,
    routers: Routers,
    clients: dict[str, list[LastingClient]],
    everyone: list[LastingClient],
    to_park: list[str],
) -> None:
    await asyncio.gather(*(client.talk("good morning") for client in everyone))
    pods = {pod["metadata"]["labels"][TENANT_LABEL]: pod["metadata"]["uid"] for pod in await cluster.list_pods()}
    for name in to_park:

        async def parked(name: str = name) -> bool:
            return await routers.lead_to_sleep(f"{cluster.namespace}/{name}", pods[name]) == EACH

        await eventually(parked, 20, f"{name} sleeps")
        await cluster.scale(name, 0)
    routers.pull = PULL
    old = list(routers.serving)
    began = asyncio.get_running_loop().time()
    await routers.restart()
    # Turns that last until the old routers have begun to end; somebody who writes at any time.
    turns = [in_a_turn(client, number) for number, client in enumerate(clients["talking"])]
    notes = [writes(client, random.uniform(0, LASTS / 2)) for client in clients["quiet"][:: 3 * EACH]]
    working = asyncio.gather(*turns, *notes)
    await eventually(lambda: len(routers.gone) == len(old), LASTS, "the old routers have gone")
    await working
    assert {one.process.returncode for one in old if one.process is not None} == {0}
    await asyncio.gather(*(client.talk("good evening") for client in everyone))
    report(clients, began)
    for client in everyone:
        assert Counter(await client.told()) == Counter(client.acknowledged)


async def in_a_turn(client: LastingClient, number: int) -> None:
    """Be told something for 14 to 22 seconds, on one connection."""
    hellos = len(client.hellos)
    message = f"SLOW:500 WORDS:{28 + number % 16}"
    async with asyncio.timeout(60):
        await (await client.say(message))
    assert len(client.hellos) == hellos


async def writes(client: LastingClient, after: float) -> None:
    await asyncio.sleep(after)
    assert await client.talk("are you there?") == "You said: are you there?"


def report(clients: dict[str, list[LastingClient]], began: float) -> None:
    for group, those in clients.items():
        moved = sorted(client.hellos[-1] - began for client in those if client.reconnects)
        counts = dict(Counter(client.reconnects for client in those))
        spread = f"{moved[0]:.1f} to {moved[-1]:.1f} s after its begin" if moved else ""
        print(f"{group}: clients by reconnects {counts}, {spread}")
