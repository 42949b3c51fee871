"""What becomes of a tenant's objects when it is deleted."""

from __future__ import annotations

from operator_world import SOON, World, eventually, template, tenant

from tenant_api.kubernetes_names import GROUP, child_name

ANN = child_name("ann")
CHILDREN = ("deployments", "persistentvolumeclaims", "secrets")


async def test_delete_takes_everything_along(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.delete("tenants", "ann")

    def gone() -> bool:
        claim = here.get("persistentvolumeclaims", ANN)
        # Without a node nobody takes the claim's protection off; it is marked all the same.
        return (claim is None or "deletionTimestamp" in claim["metadata"]) and not any(
            here.get(kind, ANN) for kind in ("deployments", "secrets")
        )

    await eventually(gone, SOON)


async def test_retain_keeps_the_claim_and_says_whose_it_was(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann", storage={"reclaim": "Retain"}))
    await here.phase("ann", "Asleep")
    here.delete("tenants", "ann")
    await eventually(lambda: not here.get("deployments", ANN) and not here.get("secrets", ANN), SOON)

    def told() -> bool:
        claim = here.get("persistentvolumeclaims", ANN) or {"metadata": {}}
        note = claim["metadata"].get("annotations", {}).get(f"{GROUP}/retained-from", "")
        events = [one for one in here.items("events") if one["reason"] == "VolumeRetained"]
        return note.startswith(f"{here.namespace}/ann, deleted ") and bool(events)

    await eventually(told, SOON)
    claim = here.get("persistentvolumeclaims", ANN)
    assert claim and "ownerReferences" not in claim["metadata"] and "deletionTimestamp" not in claim["metadata"]

    # Another user never gets it.
    here.apply({**tenant("ann"), "spec": {**tenant("ann")["spec"], "userId": "somebody-else"}})
    assert "another user's" in await here.said("ann", "Accepted", "False", "VolumeTaken")
    here.delete("tenants", "ann")
    # The same user does.
    await eventually(lambda: here.get("tenants", "ann") is None, SOON)
    here.apply(tenant("ann"))
    await here.phase("ann", "Asleep")
    claim = here.get("persistentvolumeclaims", ANN)
    assert claim and claim["metadata"]["ownerReferences"][0]["name"] == "ann"
    assert f"{GROUP}/retained-from" not in claim["metadata"]["annotations"]


async def test_reclaim_may_change_its_mind(here: World) -> None:
    here.start()
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.patch("tenants", "ann", {"spec": {"storage": {"reclaim": "Retain"}}})
    await eventually(lambda: "ownerReferences" not in (here.get("persistentvolumeclaims", ANN) or {})["metadata"], SOON)


async def test_tenant_deleted_while_no_operator_runs_is_noticed_later(here: World) -> None:
    first = here.start()
    here.apply(template(), tenant("ann", storage={"reclaim": "Retain"}))
    await here.phase("ann", "Asleep")
    first.stop()
    here.delete("tenants", "ann")
    here.start()

    def noted() -> bool:
        claim = here.get("persistentvolumeclaims", ANN)
        assert claim
        return f"{GROUP}/retained-from" in claim["metadata"].get("annotations", {})

    await eventually(noted, SOON)
