"""One operator works, another waits with everything known."""

from __future__ import annotations

import signal

from operator_world import SOON, World, eventually, template, tenant


async def test_standby_takes_over(here: World) -> None:
    first = here.start(IDENTITY="first")
    await eventually(first.leads, SOON)
    second = here.start(IDENTITY="second")
    await eventually(lambda: second.ready().get("ready"), SOON)
    assert second.ready() == {"ready": True, "leading": False, "leader": "first"}
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    assert second.writes() == 0
    # A leader that ends gives its Lease back.
    assert first.stop() == 0
    await eventually(second.leads, SOON)
    here.apply(tenant("bob"))
    await here.phase("bob", "Asleep")


async def test_leader_that_loses_its_lease_ends(here: World) -> None:
    first = here.start(IDENTITY="first")
    await eventually(first.leads, SOON)
    lease = here.get("leases", "openclaw-tenancy-operator")
    assert lease and lease["spec"]["holderIdentity"] == "first"
    here.patch("leases", "openclaw-tenancy-operator", {"spec": {"holderIdentity": "usurper"}})
    await eventually(lambda: first.process.poll() is not None, SOON)
    assert first.process.returncode == 1


async def test_killed_leader_is_replaced_when_its_lease_ends(here: World) -> None:
    first = here.start(IDENTITY="first")
    await eventually(first.leads, SOON)
    second = here.start(IDENTITY="second")
    await eventually(lambda: second.ready().get("ready"), SOON)
    here.apply(template(), *(tenant(f"t{number}") for number in range(20)))
    first.stop(signal.SIGKILL)
    await eventually(second.leads, SOON)
    for number in range(20):
        await here.phase(f"t{number}", "Asleep")


async def test_operator_waits_for_an_api_server_that_is_away(here: World) -> None:
    first = here.start(IDENTITY="first")
    await eventually(first.leads, SOON)
    here.apply(template(), tenant("ann"))
    await here.phase("ann", "Asleep")
    here.cluster.stop("apiserver")
    try:
        # Whoever can't renew its Lease ends, and is started again.
        await eventually(lambda: first.process.poll() is not None, SOON)
        second = here.start(IDENTITY="second")
        await eventually(lambda: second.health("/healthz")[0] == 200, SOON)
        assert second.health("/readyz")[0] == 503
    finally:
        here.cluster.start("apiserver")
    await eventually(second.leads, SOON)
    here.apply(tenant("bob"))
    await here.phase("bob", "Asleep")
