"""Where tenants can't be kept apart: one is served, several only when told so. And nothing of the fleet's lies in view."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_machine import Machine, ask, awake, double_recipe, evaluate, until

from tenant_local.apart import NotConfinable
from tenant_local.confine import landlock, probe
from tenant_local.confine.probe import NONE, Confinement
from tenant_local.fleet import LocalFleet
from tenant_local.layout import DataError
from tenant_router.activity import Activity
from tenant_router.fleet import WakeFailed


async def test_one_tenant_is_served_and_a_second_refused(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet(confinement=NONE) as fleet:
        assert await ask(await awake(fleet, "alice"), "/x")
        machine.tenant("bob")
        await until(lambda: "bob" in fleet.names(), "bob is seen")
        with pytest.raises(WakeFailed, match="can't be kept apart on this machine: switched off"):
            await fleet.wake("bob", "a test")
    with pytest.raises(NotConfinable, match="--unconfined"):
        async with machine.fleet(confinement=NONE):
            pass


async def test_several_when_told_so(machine: Machine) -> None:
    for name in ("alice", "bob"):
        machine.tenant(name)
    async with machine.fleet(confinement=NONE, unconfined=True) as fleet:
        for name in ("alice", "bob"):
            assert await ask(await awake(fleet, name), "/x")
        # Without namespaces a warden still takes everything with it.
        address = await awake(fleet, "alice")
        code = "import subprocess; result = subprocess.Popen(['sleep', '60'], start_new_session=True).pid"
        sleeper = await evaluate(address, code)
        await fleet.suspend("alice", "a test")
        assert not Path(f"/proc/{sleeper}").exists()
        # Also when it must be killed.
        address = await awake(fleet, "alice")
        sleeper = await evaluate(address, code)
        fleet.gave_up(address, "a test")
        await until(lambda: not Path(f"/proc/{sleeper}").exists(), "nothing is left")


async def test_runtime_that_needs_tmp_wants_namespaces(machine: Machine) -> None:
    machine.tenant("alice")
    recipe = replace(double_recipe(), needs_tmp=True)
    async with machine.fleet({"native": lambda: recipe}, Confinement(False, False, landlock.abi(), True)) as fleet:
        if fleet.confinement.isolates:
            with pytest.raises(WakeFailed, match="needs a /tmp of its own"):
                await fleet.wake("alice", "a test")


async def test_unconfined_still_confines_where_it_can(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet(unconfined=True) as fleet:
        if fleet.confinement.isolates:
            address = await awake(fleet, "alice")
            with pytest.raises(OSError, match=r"No such file|Permission"):
                await evaluate(address, f"open({str(machine.data / 'master.key')!r})")


@pytest.mark.parametrize("what", ["data", "directory"])
async def test_data_in_view_of_every_gateway_is_refused(machine: Machine, what: str) -> None:
    place = Path(sys.base_prefix) / "lib" / "openclaw-tenancy-test"
    changed: dict[str, Any] = {what: place}
    settings = replace(machine.settings(), **changed)
    fleet = LocalFleet(settings, Activity(), confinement=NONE)
    try:
        with pytest.raises(DataError, match="every gateway can read"):
            await fleet.start()
    finally:
        for folder in ("tenants", "stage"):
            if (place / folder).exists():
                (place / folder).rmdir()
        (place / "master.key").unlink(missing_ok=True)
        if place.exists():
            place.rmdir()


async def test_probe_finds_what_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stage").mkdir()
    best = await probe.probe(tmp_path / "stage")
    if not best.isolates:
        pytest.skip(best.why_not)
    assert "Landlock" in best.describe()
    if best.namespaces and best.abi >= probe.ABI_SCOPE:
        # A stage that does not exist makes every try with namespaces fail.
        worse = await probe.probe(tmp_path / "nowhere")
        assert not worse.namespaces
        assert worse.isolates
        assert "namespaces: " in worse.why_not
    monkeypatch.setattr("tenant_local.confine.landlock.abi", lambda: 3)
    none = await probe.probe(tmp_path / "stage")
    assert not none.isolates
    assert "Landlock ABI 3" in none.why_not
    assert none.describe().startswith("none: ")


def test_what_counts_as_isolation() -> None:
    assert Confinement(True, False, 4, True).isolates
    assert not Confinement(True, False, 4, True).unix_sockets, "abstract ones of others would be within reach"
    assert not Confinement(False, False, 5, True).isolates
    assert not Confinement(True, False, 3, True).isolates
    assert not Confinement(True, False, 7, False).isolates
    assert Confinement(True, True, 7, True).flags == "nu"
    assert Confinement(False, False, 7, True).flags == ""
