"""kill -9 at any moment: no orphan, never a second gateway on a volume, and a restart that finds its way."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from local_machine import Machine, alive, ask, awake, until

from tenant_local import lock
from tenant_local.states import State
from tenant_router.fleet import WakeFailed

HERE = Path(__file__).parent


class FleetProcess:
    """A fleet in another process."""

    def __init__(self, machine: Machine, *tenants: str) -> None:
        path = os.pathsep.join([str(HERE), str(HERE.parent)])
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "fleet_process.py"), str(machine.root), *tenants],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )

    async def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        return dict(json.loads(line))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def of_machine(machine: Machine) -> list[int]:
    """Return the processes that work in the machine's folders, by their environment or directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
                directory = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(machine.data).encode() in environment or directory.startswith(str(machine.data)):
                found.append(int(entry.name))
    return [pid for pid in found if alive(pid)]


async def test_fleet_killed_ends_its_gateways_gracefully(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"run": ["sleep", "4712"]}})
    fleet = FleetProcess(machine, "alice")
    try:
        warden = (await fleet.said())["pid"]
        assert alive(warden)
    finally:
        fleet.kill()
    await until(lambda: not alive(warden), "the gateway ends")
    await until(lambda: not of_machine(machine), "nothing is left")
    assert "ending" in (machine.data / "tenants" / "alice" / "gateway.log").read_text(), "by SIGTERM"


async def test_restart_waits_for_the_old_gateway(machine: Machine) -> None:
    machine.tenant("alice", config={"double": {"slowEnd": 1}})
    old = FleetProcess(machine, "alice")
    said = await old.said()
    old.kill()
    assert alive(said["pid"])
    async with machine.fleet() as fleet:
        address = await fleet.wake("alice", "a test")
        assert not alive(said["pid"]), "the new one is started when the old one has ended"
        assert await ask(address, "/x")


async def test_restart_kills_a_stubborn_gateway(machine: Machine, monkeypatch: Any) -> None:
    monkeypatch.setattr("tenant_local.starting.TAKEOVER_GRACE", 0.5)
    machine.tenant("alice", config={"double": {"stubborn": True}})
    old = FleetProcess(machine, "alice")
    said = await old.said()
    old.kill()
    assert alive(said["pid"])
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        assert await ask(await awake(fleet, "alice"), "/x")
        assert not alive(said["pid"])


async def test_second_fleet_on_one_data_folder(machine: Machine, monkeypatch: Any) -> None:
    """The gateway of a fleet that lives is taken over like one that was left behind: the last one wins, never both."""
    machine.tenant("alice")
    first = FleetProcess(machine, "alice")
    try:
        said = await first.said()
        async with machine.fleet() as fleet:
            assert await ask(await awake(fleet, "alice"), "/x")
            assert not alive(said["pid"])
    finally:
        first.process.terminate()
        first.process.wait()


async def test_lock_of_another_process_is_respected(machine: Machine, monkeypatch: Any) -> None:
    monkeypatch.setattr("tenant_local.starting.TAKEOVER_GRACE", 0.2)
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        paths = machine.data / "tenants" / "alice"
        await awake(fleet, "alice")
        await fleet.suspend("alice", "a test")
        held = lock.acquire(paths / "gateway.lock")
        assert held is not None
        # The file still names a process that is gone: nobody is signalled by mistake.
        for wrong in ("", "{}", json.dumps({"pid": os.getpid(), "started": 1, "boot": lock.boot_id()})):
            (paths / "gateway.lock").write_text(wrong)
            try:
                await fleet.wake("alice", "a test")
            except WakeFailed as error:
                assert "another process holds" in str(error)
            else:
                raise AssertionError("two gateways on one volume")
            fleet._lives["alice"].backoff.reset()
        os.close(held)
        assert await ask(await awake(fleet, "alice"), "/x")


async def test_kills_at_random(machine: Machine) -> None:
    """Gateways and the fleet are killed at random moments; each restart serves again and nothing is left over."""
    dice = random.Random(4)
    for name in ("ann", "bob"):
        machine.tenant(name)
    seen: set[int] = set()
    for _ in range(6):
        fleet = FleetProcess(machine, "ann", "bob")
        try:
            for _ in range(dice.randrange(3)):
                seen.add((await fleet.said())["pid"])
            await asyncio.sleep(dice.random() * 0.4)
            if seen and dice.random() < 0.5:
                victim = dice.choice(sorted(seen))
                if alive(victim):
                    os.kill(victim, signal.SIGKILL)
        finally:
            fleet.kill()
    async with machine.fleet() as last:
        for name in ("ann", "bob"):
            assert await ask(await awake(last, name), "/x")
            assert last.describe(name).state is State.AWAKE
        own = {last.describe(name).pid for name in ("ann", "bob")}
        await until(lambda: not [pid for pid in seen - own if alive(pid)], "the old ones are gone")
    await until(lambda: not of_machine(machine), "nothing is left")


async def test_half_a_volume_is_made_anew(machine: Machine) -> None:
    source = machine.directory / "volume"
    source.mkdir(parents=True)
    (source / "big").write_bytes(os.urandom(1 << 20))
    machine.template(volume={"source": {"path": "volume"}})
    machine.tenant("alice")
    tenant = machine.data / "tenants" / "alice"
    half = tenant / ".volume-1"
    half.mkdir(parents=True)
    (half / "big").write_bytes(b"half")
    async with machine.fleet() as fleet:
        await awake(fleet, "alice")
    assert (tenant / "state" / "big").read_bytes() == (source / "big").read_bytes()
    assert not half.exists()
