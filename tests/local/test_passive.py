"""A tenant whose client asks all the time for what its template calls passive falls asleep; another's does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from local_machine import Machine, token_of, until
from router_world import Client

from tenant_local.fleet import LocalFleet
from tenant_local.runtimes import INSTALLED
from tenant_local.states import State
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings

IDLE = 3.0
"""Seconds; the router looks at a client's requests once a second, and a busy machine needs some margin."""
POLL = 0.2
"""Seconds between two requests of a client."""
METHOD = "sessions.list"


@asynccontextmanager
async def polling(router: Router, name: str) -> AsyncIterator[None]:
    """Have a client ask the same again and again while the block runs; one that is not answered fails it."""
    client = await Client.open(router)
    assert (await client.hello(token_of(name)))["ok"]

    async def poll() -> None:
        while True:
            answer = await client.call(METHOD)
            while answer["type"] != "res":  # a tick
                answer = await client.recv()
            assert answer["ok"], answer
            await asyncio.sleep(POLL)

    task = asyncio.create_task(poll())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.ws.close()


def asleep_with_its_client(fleet: LocalFleet, name: str) -> bool:
    described = fleet.describe(name)
    return described.state is State.ASLEEP and described.parked == 1


async def story(machine: Machine) -> None:
    async with machine.fleet(dict(INSTALLED), suspends=lambda: router.suspends) as fleet:
        router = Router(fleet, RouterSettings(listen=("127.0.0.1", 0)), machine.activity)
        router.start()
        try:
            async with polling(router, "alice"), polling(router, "bob"):
                both = time.monotonic()
                await until(lambda: asleep_with_its_client(fleet, "alice"), "alice sleeps in spite of her client", 30)
                await asyncio.sleep(max(0.0, both + 2 * IDLE - time.monotonic()))
                assert asleep_with_its_client(fleet, "alice"), "what she is asked meanwhile wakes nobody"
                assert fleet.describe("bob").state is State.AWAKE, fleet.describe("bob").reason
                # The same connection, after an edit.
                machine.template("standard", idle={"timeout": f"{IDLE:g}s", "passiveMethods": [METHOD]})
                await until(lambda: asleep_with_its_client(fleet, "bob"), "bob sleeps by his template's edit", 30)
                assert [fleet.describe(name).wakes for name in ("alice", "bob")] == [1, 1]
        finally:
            await router.close()


def test_a_request_that_its_template_calls_passive_is_no_use(machine: Machine) -> None:
    machine.template("standard", idle={"timeout": f"{IDLE:g}s"})
    machine.template("polled", idle={"timeout": f"{IDLE:g}s", "passiveMethods": [METHOD]})
    machine.tenant("alice", "polled")
    machine.tenant("bob")
    with asyncio.Runner(loop_factory=RelayLoop) as runner:
        runner.run(story(machine))
