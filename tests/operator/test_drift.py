"""What somebody changes or deletes by hand is made good; what is the router's stays as it is."""

from __future__ import annotations

from functools import partial

from operator_world import SOON, World, eventually, template, tenant

from tenant_api.kubernetes_names import TENANT_LABEL, child_name

ANN = child_name("ann")


async def asleep(here: World) -> None:
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")


async def test_changed_and_deleted_children_are_repaired(here: World) -> None:
    here.start()
    await asleep(here)
    here.patch("deployments", ANN, {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}})
    await eventually(
        lambda: (
            (here.get("deployments", ANN) or {})["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
        ),
        SOON,
    )
    before = here.config("ann")
    here.patch("secrets", ANN, {"data": {"openclaw.json": "e30="}})
    await eventually(lambda: here.config("ann") == before, SOON)
    for kind in ("secrets", "deployments"):
        here.delete(kind, ANN)
        await eventually(partial(here.get, kind, ANN), SOON)
    assert here.replicas("ann") == 0


async def test_label_taken_off_an_awake_deployment_puts_nobody_to_sleep(here: World) -> None:
    here.start()
    await asleep(here)
    here.scale("ann", 1)
    await here.play_kubelet("ann")
    await here.phase("ann", "Awake")
    here.patch("deployments", ANN, {"metadata": {"labels": {TENANT_LABEL: None, "app.kubernetes.io/component": None}}})
    await eventually(lambda: TENANT_LABEL in (here.get("deployments", ANN) or {})["metadata"]["labels"], SOON)
    assert here.replicas("ann") == 1


async def test_restart_writes_nothing(here: World) -> None:
    here.start()
    here.apply(
        template(
            resources={"requests": {"cpu": "1000m", "memory": "0.5Gi"}, "limits": {"memory": "1024Mi"}},
            env=[{"name": "A", "value": "b"}],
            tolerations=[{"key": "x", "operator": "Exists"}],
        ),
        tenant("ann"),
        tenant("bob", storage={"reclaim": "Retain"}, power="Suspended"),
    )
    await here.phase("ann", "Asleep")
    await here.phase("bob", "Suspended")
    await here.followed("standard", "2 tenants: 2 at version 1")
    for name in ("ann", "bob"):
        await here.said(name, "VolumeReady", "False", "FailedBinding")
    here.running[0].stop()
    second = here.start()
    await eventually(second.leads, SOON)
    await eventually(lambda: second.reconciled() >= 2, SOON)
    assert second.writes() == 0, second.health("/metrics")[1].decode()


async def test_pull_secrets_are_on_the_account_and_so_on_every_pod(here: World) -> None:
    here.start(IMAGE_PULL_SECRETS="registry,mirror.example")
    await asleep(here)

    def of_the_account() -> list[dict[str, str]]:
        account = here.get("serviceaccounts", "openclaw-gateway")
        assert account
        return list(account.get("imagePullSecrets", []))

    names = [{"name": "registry"}, {"name": "mirror.example"}]
    await eventually(lambda: of_the_account() == names, SOON)
    here.scale("ann", 1)
    assert (await here.pod("ann"))["spec"]["imagePullSecrets"] == names
    # Without the setting they go again.
    here.running[0].stop()
    here.start()
    await eventually(lambda: of_the_account() == [], SOON)
