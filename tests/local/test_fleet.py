from __future__ import annotations

import time

from local_machine import Machine, ask, digest_of

from tenant_local.states import State


async def test_wakes_answers_and_sleeps(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet() as fleet:
        print(fleet.confinement.describe())
        match = fleet.find(digest_of("alice"))
        assert match is not None and match.tenant.key == "alice"
        assert fleet.awake("alice") is None
        begin = time.perf_counter()
        address = await fleet.wake("alice", "a test")
        dial = time.perf_counter()
        assert await ask(address, "/x") == {"path": "/x"}
        print("address", dial - begin, "answer", time.perf_counter() - begin)
        fleet.greeted(address)
        assert fleet.awake("alice") == address
        await fleet.suspend("alice", "a test")
        assert fleet.describe("alice").state is State.ASLEEP
        assert fleet.ended(address) == "a test"
