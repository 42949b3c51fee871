"""The native gateway under the fleet: confined, woken cold, reached as the router reaches it."""

from __future__ import annotations

import asyncio
import statistics
import time

from local_machine import Machine, until

from tenant_local.runtimes import INSTALLED
from tenant_local.states import State
from tenant_router.fleet import GatewayAddress

MAX_MEDIAN = 0.4
"""Seconds from asleep to answering, the project's bar."""


async def startup(address: GatewayAddress) -> bytes:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(b"GET /startupz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


async def test_wakes_fast_and_sleeps(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet(dict(INSTALLED), spares=1) as fleet:
        times = []
        for _ in range(5):
            await until(lambda: fleet._starter and fleet._starter.spares._ready, "a spare launcher is there", 20)
            begin = time.perf_counter()
            address = await fleet.wake("alice", "a test")
            assert b'"started"' in await startup(address)
            times.append(time.perf_counter() - begin)
            fleet.greeted(address)
            await fleet.suspend("alice", "a test")
            assert fleet.describe("alice").state is State.ASLEEP
        assert statistics.median(times) < MAX_MEDIAN, times


async def test_wakes_without_a_spare(machine: Machine) -> None:
    machine.tenant("alice")
    async with machine.fleet(dict(INSTALLED), spares=0) as fleet:
        address = await fleet.wake("alice", "a test")
        assert b'"started"' in await startup(address)
        assert (machine.data / "tenants" / "alice" / "state").is_dir()
        await until(lambda: fleet.awake("alice"), "and is seen awake")
