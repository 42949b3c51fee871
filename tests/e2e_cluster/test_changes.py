"""Changes to a tenant that is awake: its own config reaches it by the kubelet, its template's pod waits for the next sleep."""

from __future__ import annotations

import json
from typing import Any

from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import SOON, Release
from tenant_api.kubernetes_names import child_name

KUBELET_SECONDS = 150.0
"""For a changed Secret to be in a running pod: a kubelet looks once a minute, and somewhat later where it has much to do."""
ZONE = "Asia/Tokyo"


def patch(release: Release, kind: str, name: str, **spec: Any) -> None:
    body = json.dumps({"spec": spec})
    release.cluster.kubectl("patch", kind, name, "-n", release.tenants, "--type=merge", f"-p={body}")


async def test_a_changed_overlay_reaches_the_running_gateway(release: Release, model_address: str) -> None:
    release.apply(release.template("steady", "native", model.config(model_address)), release.tenant("olga", "steady"))
    await release.provisioned("olga")
    async with release.client("olga") as client:
        assert ZONE not in str(await client.call("config.get"))
        before = release.pods("olga")[0]
        patch(release, "tenant", "olga", config={"agents": {"defaults": {"userTimezone": ZONE}}})
        await eventually(lambda: reloaded(release), KUBELET_SECONDS, "the gateway has reloaded its config")
        # The same connection, to the same process.
        assert ZONE in str(await client.call("config.get"))
        assert [piece async for piece in client.chat("still there")]
    after = release.pods("olga")[0]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    release.cluster.kubectl("delete", "tenant", "olga", "-n", release.tenants, "--wait=false")


def reloaded(release: Release) -> bool:
    return "config reloaded" in release.cluster.kubectl(
        "logs", "-n", release.tenants, f"deployment/{child_name('olga')}"
    )


async def test_a_changed_template_waits_for_the_next_sleep(release: Release, model_address: str) -> None:
    config = model.config(model_address)
    requests = {"cpu": "20m", "memory": "48Mi"}
    release.apply(release.template("grows", "native", config), release.tenant("otto", "grows"))
    await release.provisioned("otto")
    async with release.client("otto") as client:
        (before,) = release.pods("otto")
        release.apply(release.template("grows", "native", config, version="2", resources={"requests": requests}))

        def waits() -> bool:
            assert release.condition("otto", "Provisioned").get("reason") == "UpdateWaits"
            return True

        await eventually(waits, SOON, "it is said that the change waits")
        assert await client.call("health"), "its connection lives on"
        (same,) = release.pods("otto")
        assert same["metadata"]["uid"] == before["metadata"]["uid"]
        assert same["spec"]["containers"][0]["resources"] == before["spec"]["containers"][0]["resources"]
    patch(release, "tenant", "otto", power="Suspended")
    await release.asleep("otto")
    patch(release, "tenant", "otto", power="Auto")
    async with release.client("otto"):
        (after,) = release.pods("otto")
    assert after["spec"]["containers"][0]["resources"]["requests"] == requests
    assert release.get("tenant", "otto")["status"]["templateVersion"] == "2"
    release.cluster.kubectl("delete", "tenant", "otto", "-n", release.tenants, "--wait=false")
