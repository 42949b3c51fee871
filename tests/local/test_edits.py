"""Edits of Tenant files apply while the fleet runs; a broken one changes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from local_machine import Machine, alive, ask, awake, digest_of, token_of, until

from tenant_api.tokens import token_digest
from tenant_local.states import State
from tenant_router.fleet import WakeFailed


async def test_new_tenant_and_removed_tenant(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        assert fleet.find(digest_of("bob")) is None
        machine.tenant("bob")
        await until(lambda: fleet.find(digest_of("bob")), "bob is found")
        address = await awake(fleet, "bob")
        pid = fleet.describe("bob").pid or 0
        machine.remove("bob")
        await until(lambda: fleet.find(digest_of("bob")) is None, "bob is gone")
        assert ("bob", None) in machine.revoked
        await until(lambda: not alive(pid), "his gateway ends")
        await until(lambda: fleet.ended(address), "and the router can know")
        assert "ending" in (machine.data / "tenants" / "bob" / "gateway.log").read_text(), "gracefully"
        with pytest.raises(WakeFailed):
            await fleet.wake("bob", "a test")
        assert (machine.data / "tenants" / "bob" / "state").is_dir(), "deleting a file deletes nobody's data"
        assert fleet.names() == ["alice"]


async def test_revoked_token(machine: Machine) -> None:
    second = {"name": "laptop", "sha256": token_digest("oct_second").hex()}
    phone = {"name": "phone", "sha256": digest_of("alice").hex()}
    machine.tenant("alice", tokens=[phone, second])
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        machine.tenant("alice", tokens=[second])
        await until(lambda: fleet.find(token_digest(token_of("alice"))) is None, "the token stops working")
        assert machine.revoked == [("alice", frozenset({"phone"}))]
        match = fleet.find(token_digest("oct_second"))
        assert match is not None
        assert match.token_name == "laptop"
        assert fleet.awake("alice") == address, "its gateway goes on"


async def test_a_renamed_token_is_another_one(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        machine.tenant("alice", tokens=[{"name": "telephone", "sha256": digest_of("alice").hex()}])
        await until(
            lambda: machine.revoked, "who came by the old name, by which alone it is known, is told to come anew"
        )
        assert machine.revoked == [("alice", frozenset({"phone"}))]
        assert fleet.find(digest_of("alice")) is not None


async def test_an_expired_token_is_told_within_a_second(machine: Machine) -> None:
    def phone_until(at: datetime) -> None:
        entry = {"name": "phone", "sha256": digest_of("alice").hex(), "expiresAt": at.isoformat()}
        machine.tenant("alice", tokens=[entry, {"name": "laptop", "sha256": token_digest("oct_second").hex()}])

    phone_until(datetime.now(UTC) + timedelta(hours=1))
    async with machine.fleet() as fleet:
        at = datetime.now(UTC) + timedelta(seconds=1.5)
        phone_until(at)
        await until(lambda: machine.revoked, "it is told")
        late = (datetime.now(UTC) - at).total_seconds()
        assert machine.revoked == [("alice", frozenset({"phone"}))]
        assert 0.0 <= late < 1.0
        assert fleet.find(token_digest("oct_second")) is not None


async def test_overlay_reaches_the_running_gateway(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        inode = (machine.data / "tenants" / "alice" / "config" / "openclaw.json").stat().st_ino
        machine.tenant("alice", config={"agents": {"defaults": {"model": {"primary": "x/y"}}}})
        file = machine.data / "tenants" / "alice" / "config" / "openclaw.json"
        await until(lambda: "x/y" in file.read_text(), "the file is rewritten")
        assert file.stat().st_ino != inode, "as a whole, by rename"
        assert (await ask(address, "/config"))["agents"]["defaults"]["model"] == {"primary": "x/y"}
        assert json.loads(file.read_text())["gateway"]["port"] == address.port
        # The template too.
        machine.template(config={"agents": {"defaults": {"contextTokens": 5}}})
        await until(lambda: "contextTokens" in file.read_text(), "the template's edit applies")
        assert fleet.awake("alice") == address


async def test_other_runtime_comes_with_the_next_start(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        machine.template(runtime="openclaw")
        await until(lambda: fleet.describe("alice").runtime == "openclaw", "the edit is seen")
        assert fleet.awake("alice") == address
        assert await ask(address, "/x")
        await fleet.suspend("alice", "a test")
        with pytest.raises(WakeFailed, match="openclaw"):
            await fleet.wake("alice", "a test")


async def test_suspended_by_an_edit(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        await awake(fleet, "alice")
        machine.tenant("alice", power="Suspended")
        await until(lambda: fleet.describe("alice").state is State.ASLEEP, "it sleeps")
        assert ("alice", None) in machine.revoked
        match = fleet.find(digest_of("alice"))
        assert match is not None
        assert match.tenant.suspended
        machine.tenant("alice")
        await until(lambda: fleet.describe("alice").power == "Auto", "it may wake again")
        await awake(fleet, "alice")


async def test_broken_file_changes_nothing(machine: Machine) -> None:
    machine.tenant("alice")
    machine.tenant("bob")
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        for broken in ("{", '{"kind": "Tenant", "metadata": {"name": "alice"}, "spec": {"userId": 5}}', "- [a"):
            machine.reports.clear()
            machine.write("alice.json", broken)
            await until(lambda: machine.reports and machine.reports[-1], "it is reported")
            error = machine.reports[-1][0]
            assert error.file.endswith("alice.json")
            assert error.line is not None
            assert fleet.find(digest_of("alice")) is not None
            assert fleet.awake("alice") == address
        machine.reports.clear()
        machine.write("template-standard.json", "kind: TenantTemplate\nspec: [")
        await until(lambda: machine.reports and machine.reports[-1], "it is reported")
        await awake(fleet, "bob")
        assert machine.revoked == []
        machine.template()
        machine.tenant("alice")
        await until(lambda: machine.reports[-1] == [], "all is well again")
        assert fleet.awake("alice") == address


async def test_volume_is_made_from_the_template(machine: Machine) -> None:
    machine.directory.mkdir(exist_ok=True)
    (machine.directory / "volume" / "workspace").mkdir(parents=True)
    (machine.directory / "volume" / "workspace" / "SOUL.md").write_text("be kind")
    machine.template(volume={"source": {"path": "volume"}})
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        code = "import pathlib; p = pathlib.Path('workspace/SOUL.md'); result = p.read_text(); p.write_text('be mine')"
        assert (await ask(address, "/eval", code))["result"] == "be kind"
        await fleet.suspend("alice", "a test")
        address = await awake(fleet, "alice")
        assert (await ask(address, "/eval", code))["result"] == "be mine", "made once"
    assert (machine.directory / "volume" / "workspace" / "SOUL.md").read_text() == "be kind"
