"""A tenant's life on a real cluster: made asleep, woken by a real client, apart from others, asleep again, and remembered."""

from __future__ import annotations

import pytest

from cluster.abilities import Ability
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import SOON, MakeCli, Release
from tenant_api.kubernetes_names import child_name

pytestmark = [pytest.mark.openclaw]


@pytest.fixture(scope="module")
def three(release: Release) -> Release:
    """`anna` and `carl` run natively, `bert` on upstream's gateway."""
    release.apply(
        release.tenant("anna", "native"), release.tenant("bert", "upstream"), release.tenant("carl", "native")
    )
    return release


async def test_tenants_are_provisioned_without_a_pod(three: Release) -> None:
    await three.provisioned("anna", "bert", "carl")
    phase = "Pending" if three.binds_late() else "Bound"
    for name in ("anna", "bert", "carl"):
        deployment = three.get("deployment", child_name(name))
        assert deployment["spec"]["replicas"] == 0

        def is_as_its_class_binds(claim: str = child_name(name)) -> bool:
            return bool(three.get("pvc", claim)["status"]["phase"] == phase)

        # Clones of one claim are tried again where two of them touch it at once.
        await eventually(is_as_its_class_binds, SOON, f"the claim of {name} is {phase}")
    # Tenants that other modules made on this release may be awake.
    awake = {pod["metadata"]["labels"]["openclaw-tenancy.dev/tenant"] for pod in three.pods()}
    assert not awake & {"anna", "bert", "carl"}


@pytest.mark.parametrize("name", ["anna", "bert"])
async def test_a_real_client_wakes_its_tenant_alone(three: Release, cli: MakeCli, name: str) -> None:
    await three.provisioned(name)
    before = {pod["metadata"]["name"] for pod in three.pods()}
    health = (await cli(name).call("health", timeout=180)).ok()
    assert health.json["ok"] is True
    new = [pod for pod in three.pods() if pod["metadata"]["name"] not in before]
    assert [pod["metadata"]["labels"]["openclaw-tenancy.dev/tenant"] for pod in new] == [name]


@pytest.mark.parametrize("name", ["anna", "bert"])
async def test_a_conversation_survives_sleep(three: Release, cli: MakeCli, name: str) -> None:
    first = (await cli(name).agent(f"remember the blue door of {name}")).ok()
    assert "blue door" in first.reply
    three.cluster.kubectl(
        "patch", "tenant", name, "-n", three.tenants, "--type=merge", '-p={"spec":{"power":"Suspended"}}'
    )
    await three.asleep(name, 60)
    three.cluster.kubectl("patch", "tenant", name, "-n", three.tenants, "--type=merge", '-p={"spec":{"power":"Auto"}}')
    assert f"the blue door of {name}" in await history(three, name)


@pytest.mark.parametrize("runtime", ["native", "openclaw"])
async def test_an_idle_tenant_loses_its_pod_and_keeps_its_volume(
    release: Release, model_address: str, runtime: str
) -> None:
    name = f"idle-{runtime}"
    template = release.template(name, runtime, model.config(model_address), idle={"timeout": "5s"})
    release.apply(template, release.tenant(name, name))
    await release.provisioned(name)
    async with release.client(name) as client:
        told = [piece async for piece in client.chat("remember the red key")]
    assert told
    await release.asleep(name, 180)
    assert release.get("deployment", child_name(name))["spec"]["replicas"] == 0
    assert release.get("pvc", child_name(name))["status"]["phase"] == "Bound"
    assert "the red key" in await history(release, name)


async def history(three: Release, name: str) -> str:
    """The history as text; wakes the tenant."""
    async with three.client(name) as client:
        answer = await client.call("chat.history", sessionKey="agent:main:main")
    return str(answer)


@pytest.mark.needs(Ability.CLONES)
async def test_volumes_start_from_the_template_and_stay_apart(three: Release) -> None:
    for name in ("anna", "carl"):
        async with three.client(name):
            assert three.in_gateway(name, "cat", "/state/workspace/WELCOME.md") == "Made for you.\n"
    three.in_gateway("anna", "sh", "-c", "echo mine > /state/workspace/of-anna")
    async with three.client("carl"):
        assert "of-anna" not in three.in_gateway("carl", "ls", "-R", "/state")
