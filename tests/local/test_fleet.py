"""Waking, failing and sleeping, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from functools import partial
from pathlib import Path

import pytest
from local_machine import Machine, alive, ask, awake, digest_of, evaluate, until

from tenant_local.registry import UnknownTenant
from tenant_local.states import State
from tenant_router.fleet import GatewayAddress, WakeFailed


async def test_wakes_answers_and_sleeps(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        match = fleet.find(digest_of("alice"))
        assert match is not None
        assert (match.tenant.key, match.token_name, match.tenant.runtime) == ("alice", "phone", "native")
        assert fleet.find(digest_of("nobody")) is None
        assert fleet.awake("alice") is None
        address = await fleet.wake("alice", "a test")
        # The fleet bound the port itself, so a dial succeeds before the gateway runs.
        assert await ask(address, "/x") == {"path": "/x"}
        fleet.greeted(address)
        assert fleet.awake("alice") == address
        assert fleet.ended(address) is None
        assert address.user.startswith("alice@")
        config = await ask(address, "/config")
        assert config["gateway"]["port"] == address.port
        assert config["gateway"]["auth"]["trustedProxy"]["allowUsers"] == [address.user]
        pid = fleet.describe("alice").pid or 0
        await fleet.suspend("alice", "a test")
        assert fleet.describe("alice").state is State.ASLEEP
        assert fleet.ended(address) == "a test"
        assert not alive(pid)
        again = await awake(fleet, "alice")
        assert again.uid != address.uid
        assert again.user == address.user


async def test_the_config_stays_the_same_file_from_wake_to_wake(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        first = await awake(fleet, "alice")
        config = machine.data / "tenants" / "alice" / "config" / "openclaw.json"
        before = config.stat()
        await fleet.suspend("alice", "a test")
        again = await awake(fleet, "alice")
        assert (again.port, again.uid != first.uid) == (first.port, True)
        assert (config.stat().st_ino, config.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        await fleet.suspend("alice", "a test")
        config.write_text("{}")
        with socket.create_server(("127.0.0.1", first.port)):
            other = await awake(fleet, "alice")
        assert other.port != first.port
        assert json.loads(config.read_text())["gateway"]["port"] == other.port


async def test_becomes_awake_without_a_router(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        address = await fleet.wake("alice", "a test")
        await until(lambda: fleet.awake("alice") == address, "sees /startupz")
        timing = fleet.describe("alice").last_wake
        assert timing is not None
        assert 0 < (timing.prepared or 0) < (timing.launched or 0) < (timing.ready or 0)


async def test_many_wakes_start_one_process(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet(spares=1) as fleet:
        addresses = await asyncio.gather(*(fleet.wake("alice", f"client {number}") for number in range(50)))
        assert len(set(addresses)) == 1
        assert fleet.describe("alice").wakes == 1


async def test_cancelled_wake_leaves_nothing(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        for pause in (0.0, 0.001, 0.005, 0.01, 0.02, 0.03):
            task = asyncio.create_task(fleet.wake("alice", "a client that leaves"))
            await asyncio.wait([task], timeout=pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        address = await awake(fleet, "alice")
        assert await ask(address, "/x")
    await no_children()


async def test_dies_with_config_error(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"say": "gateway: Unrecognized key: foo", "die": 78}})
    async with machine.fleet() as fleet:
        address = await fleet.wake("alice", "a test")
        await until(lambda: fleet.ended(address), "it dies")
        why = fleet.ended(address) or ""
        assert "exit code 78" in why
        assert "Unrecognized key: foo" in why
        described = fleet.describe("alice")
        assert described.state is State.FAILED
        assert described.last_failure is not None
        # The first death in a row: tried at once. The second: a pause, which the error tells of.
        address = await fleet.wake("alice", "a test")
        await until(lambda: fleet.ended(address), "it dies again")
        with pytest.raises(WakeFailed, match=r"(?s)exit code 78.*2 times in a row; tried again in") as failed:
            await fleet.wake("alice", "a test")
        assert failed.value.lasting
        assert "tries again" in fleet.why("alice").next
        # An edit of the tenant is a reason to try at once.
        machine.tenant("alice", config={"double": {}})
        await until(lambda: not fleet.why("alice").next.startswith("the first request after"), "the edit applies")
        assert await ask(await awake(fleet, "alice"), "/x")


async def test_a_death_that_may_not_come_again_is_not_for_a_person(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"die": 3}})
    async with machine.fleet() as fleet:
        for _ in range(2):
            address = await fleet.wake("alice", "a test")
            await until(partial(fleet.ended, address), "it dies")
        with pytest.raises(WakeFailed, match=r"(?s)exit code 3.*2 times in a row") as failed:
            await fleet.wake("alice", "a test")
        assert not failed.value.lasting


async def test_a_secret_that_is_missing_is_for_a_person_until_it_is_there(machine: Machine) -> None:
    machine.tenant("alice", credentials={"secretRef": {"name": "keys"}})
    async with machine.fleet() as fleet:
        with pytest.raises(WakeFailed, match="secret 'keys'") as failed:
            await fleet.wake("alice", "a test")
        assert failed.value.lasting
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"A": "b"}}
        machine.write("keys.json", secret)
        await until(lambda: "keys" in fleet._registry.loaded.secrets, "the edit applies")
        assert await ask(await awake(fleet, "alice"), "/x")


async def test_dies_later(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"dieAfterReady": 3}})
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        await until(lambda: fleet.ended(address), "it dies")
        assert "exit code 3" in (fleet.ended(address) or "")
        assert fleet.awake("alice") is None


async def test_killed_gateway_is_started_by_the_next_request(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        warden = fleet.describe("alice").pid
        gateway = int(Path(f"/proc/{warden}/task/{warden}/children").read_text().split()[0])
        os.kill(gateway, signal.SIGKILL)
        await until(lambda: fleet.ended(address), "its end is seen")
        assert "SIGKILL" in (fleet.ended(address) or "")
        assert await ask(await awake(fleet, "alice"), "/x")


async def test_that_never_answers(machine: Machine) -> None:
    machine.template(wake={"timeout": "1s"})
    machine.tenant("alice", config={"double": {"mute": True, "stubborn": True}})
    async with machine.fleet() as fleet:
        address = await fleet.wake("alice", "a test")
        pid = fleet.describe("alice").pid or 0
        fleet.gave_up(address, "it said no hello within 1 s (wake.timeout)")
        assert fleet.awake("alice") is None
        assert "no hello" in (fleet.ended(address) or "")
        await until(lambda: not alive(pid), "it is killed")
        # Also where no router asks.
        address = await fleet.wake("alice", "a test")
        await until(lambda: fleet.ended(address), "the fleet gives up by itself", 15)
        assert "did not answer within 1 s" in (fleet.ended(address) or "")


async def test_wake_right_after_giving_up_starts_anew(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"mute": True, "stubborn": True}})
    async with machine.fleet() as fleet:
        first = await fleet.wake("alice", "a test")
        fleet.gave_up(first, "a test")
        second = await fleet.wake("alice", "a test")
        assert second.uid != first.uid
        fleet.gave_up(second, "a test")


async def test_request_while_suspending_waits_for_the_end(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"slowEnd": 0.5}})
    async with machine.fleet() as fleet:
        first = await awake(fleet, "alice")
        pid = fleet.describe("alice").pid or 0
        ending = asyncio.create_task(fleet.suspend("alice", "a test"))
        await until(lambda: fleet.describe("alice").state is State.SUSPENDING, "it suspends")
        assert fleet.awake("alice") is None
        assert alive(pid)
        second = await fleet.wake("alice", "a request")
        assert not alive(pid)
        assert second.uid != first.uid
        await ending
        assert await ask(second, "/x")


async def test_stubborn_gateway_is_killed_at_the_deadline(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"stubborn": True}})
    fleet_pid = 0
    async with machine.fleet() as fleet:
        await awake(fleet, "alice")
        fleet_pid = fleet.describe("alice").pid or 0
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await fleet.stop(0.3)
        assert loop.time() - begin < 5
    assert not alive(fleet_pid)


async def test_idle_gateway_sleeps(machine: Machine) -> None:
    machine.template(idle={"timeout": "500ms"})
    machine.tenant("alice")
    machine.tenant("bob", idle={"timeout": "1h"})
    async with machine.fleet() as fleet:
        await awake(fleet, "bob")
        address = await awake(fleet, "alice")
        seen = machine.activity.of("alice")
        seen.connections = 1
        assert "connections are open (1)" in fleet.why("alice").next
        await asyncio.sleep(0.8)  # longer than the timeout: an open connection keeps it awake
        assert fleet.awake("alice") == address
        seen.connections = 0
        seen.last_seen = time.time()
        await until(lambda: fleet.describe("alice").state is State.ASLEEP, "it sleeps")
        assert fleet.describe("alice").reason.startswith("idle for")
        assert fleet.describe("bob").state is State.AWAKE
        assert "goes to sleep in" in fleet.why("bob").next


async def test_always_on_is_kept_awake(machine: Machine) -> None:
    machine.template(idle={"timeout": "200ms"})
    machine.tenant("alice", power="AlwaysOn")
    async with machine.fleet() as fleet:
        await until(lambda: fleet.awake("alice"), "woken at the start")
        warden = fleet.describe("alice").pid or 0
        os.kill(warden, signal.SIGKILL)
        await until(lambda: (fleet.describe("alice").pid or warden) != warden and fleet.awake("alice"), "woken again")


async def test_nothing_of_the_gateway_is_left(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"run": ["sleep", "4711"]}})
    async with machine.fleet() as fleet:
        await awake(fleet, "alice")
        warden = fleet.describe("alice").pid
        sleepers = [pid for pid in descendants(warden or 0) if "4711" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert len(sleepers) == 1
        await fleet.suspend("alice", "a test")
        assert not alive(sleepers[0])


async def test_limits_of_the_os(machine: Machine) -> None:
    machine.template(resources={"limits": {"memory": "200Mi"}})
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        address = await awake(fleet, "alice")
        limits = await evaluate(address, "result = open('/proc/self/limits').read()")
        assert any(line.split()[:5] == ["Max", "core", "file", "size", "0"] for line in limits.splitlines())
        hungry = "b = bytearray(400 << 20); result = len(b)"
        try:
            await evaluate(address, hungry)
        except (RuntimeError, ValueError, OSError, asyncio.IncompleteReadError, json.JSONDecodeError):
            pass
        else:
            pytest.fail("twice the memory limit was to be had")


async def test_data_of_one_user_is_not_given_to_another(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        await awake(fleet, "alice")
        machine.remove("alice")
        await until(lambda: "alice" not in fleet.names(), "it is removed")
        machine.tenant("alice", userId="somebody-else")
        await until(lambda: "alice" in fleet.names(), "it is added")
        with pytest.raises(WakeFailed, match="holds the data of user 'user-alice'"):
            await fleet.wake("alice", "a test")


async def test_what_is_wrong_is_said(machine: Machine) -> None:
    machine.tenant("alice", credentials={"secretRef": {"name": "missing"}})
    machine.template("broken", volume={"source": {"path": "nowhere"}})
    machine.tenant("bob", template="broken")
    machine.template("upstream", runtime="openclaw")
    machine.tenant("carl", template="upstream")
    machine.tenant("dora", power="Suspended")
    async with machine.fleet() as fleet:
        for name, text in (
            ("alice", "secret 'missing' .* does not exist"),
            ("bob", "nowhere .* does not exist"),
            ("carl", "runtime 'openclaw' is not known here"),
            ("dora", "suspended"),
            ("nobody", "no tenant 'nobody'"),
        ):
            with pytest.raises(WakeFailed, match=text):
                await fleet.wake(name, "a test")
        with pytest.raises(UnknownTenant):
            fleet.describe("nobody")
        with pytest.raises(UnknownTenant):
            await fleet.suspend("nobody", "a test")
        assert fleet.ended(GatewayAddress("127.0.0.1", 1, "nobody/1", "x"))
        assert json.dumps(fleet.why("alice").as_json())
    await no_children()


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


async def no_children() -> None:
    """Every process that the fleet started has ended and was waited for."""
    me = os.getpid()
    await until(
        lambda: (
            not [
                child
                for child in Path(f"/proc/{me}/task/{me}/children").read_text().split()
                if "tenant_local" in Path(f"/proc/{child}/cmdline").read_text() or not alive(int(child))
            ]
        ),
        "no child is left",
    )
