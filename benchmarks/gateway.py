"""What does the native gateway cost beside upstream's? Start, memory, turns and events, both as bare processes.

Every round starts both with a fresh state directory and sends them the same turns of the same model. A second start on
the state that they left is what is counted: the first one makes databases and caches.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from load.gateways import Client, Gateway, prepare, run, spare_wake
from load.report import Report
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.runtimes import openclaw
from tenant_local.runtimes.recipe import RuntimeMissing

SETTLE = 3.0
"""Seconds of silence before memory is read: what a gateway does after its hello, and gives back, is done by then."""
CLIENTS = 10
IN_FLIGHT = 8
"""Messages that are on their way at the same time; of many more upstream's gateway says that it is busy."""
SESSIONS = 7
Measured = dict[str, float]


async def measure(runtime: str, home: Path, llm: str, turns: int, injections: int) -> Measured:
    """Start a gateway twice and return what the second costs."""
    port = prepare(home, llm)
    first = await run(runtime, home, port)
    await first.stop()
    gateway = await run(runtime, home, port)
    try:
        found = {
            "listening_ms": gateway.listening * 1000,
            "hello_ms": gateway.hello * 1000,
            "hello_cpu_ms": gateway.hello_cpu * 1000,
        }
        await asyncio.sleep(SETTLE)
        found |= {"idle_rss_mib": gateway.rss(), "idle_private_mib": gateway.private()}
        found |= await converse(gateway, turns)
        await asyncio.sleep(SETTLE)
        found |= {"turns_rss_mib": gateway.rss(), "turns_private_mib": gateway.private()}
        found |= await fan_out(gateway, injections)
    finally:
        await gateway.stop()
    return found


async def converse(gateway: Gateway, turns: int) -> Measured:
    """Have turns in several sessions, one after the other; the first, which may import much, is not counted."""
    client = await gateway.client()
    await client.turn("session-0", "hello there", -1)
    cpu, clock = gateway.cpu(), time.monotonic()
    for number in range(turns - 1):
        await client.turn(f"session-{number % SESSIONS}", f"this is message {number}", number)
    cpu, clock = gateway.cpu() - cpu, time.monotonic() - clock
    await client.close()
    return {"turn_cpu_ms": cpu / max(1, turns - 1) * 1000, "turn_ms": clock / max(1, turns - 1) * 1000}


async def fan_out(gateway: Gateway, injections: int) -> Measured:
    """Put messages into a session as fast as they are taken, while ten clients watch; count what reaches them."""
    clients = [await gateway.client() for _ in range(CLIENTS)]
    before = sum(client.events for client in clients)
    cpu, clock = gateway.cpu(), time.monotonic()
    room = asyncio.Semaphore(IN_FLIGHT)
    await asyncio.gather(*(_inject(clients[0], number, room) for number in range(injections)))
    await _quiet(clients, before + CLIENTS * injections)
    cpu, clock = gateway.cpu() - cpu, time.monotonic() - clock
    events = sum(client.events for client in clients) - before
    for client in clients:
        await client.close()
    return {"events_hz": events / clock, "event_cpu_us": cpu / events * 1e6}


async def _inject(client: Client, number: int, room: asyncio.Semaphore) -> None:
    async with room:
        await client.call("chat.inject", {"sessionKey": "session-0", "message": f"note {number}"}, number)


async def _quiet(clients: list[Client], expected: int) -> None:
    """Wait until every client has at least the one event an injection must have caused."""
    deadline = time.monotonic() + 60.0
    while sum(client.events for client in clients) < expected:
        if time.monotonic() > deadline:
            raise RuntimeError("events are missing")
        await asyncio.sleep(0.001)


def report_round(report: Report, ours: Measured, theirs: Measured | None) -> None:
    """Take a round's numbers; without a peer they stand for themselves."""
    for name, value in ours.items():
        if theirs is None:
            report.note(name, value)
        else:
            report.compare(name, name.rpartition("_")[0], value, theirs[name])


def has_peer() -> bool:
    """Whether upstream's gateway is installed."""
    try:
        openclaw.recipe()
    except RuntimeMissing as missing:
        print(f"no peer: {missing}")
        return False
    return True


async def bench(rounds: int, turns: int, injections: int, spares: int, peer: bool, report: Report) -> None:
    """Take turns between the two runtimes, then wake spare processes."""
    async with FakeLLM() as llm:
        for number in range(rounds):
            with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
                ours = await measure("native", Path(folder) / "native", llm.base_url, turns, injections)
                theirs = (
                    await measure("openclaw", Path(folder) / "openclaw", llm.base_url, turns, injections)
                    if peer
                    else None
                )
            report_round(report, ours, theirs)
            for runtime, found in (("native", ours), ("openclaw", theirs or {})):
                told = " ".join(f"{name}={value:.4g}" for name, value in found.items())
                print(f"round {number + 1} {runtime}: {told}", flush=True)
        with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
            home = Path(folder)
            port = prepare(home, llm.base_url)
            for _ in range(spares):
                report.note("spare_hello_ms", await spare_wake(home, port) * 1000)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as flat JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--injections", type=int, default=300, help="messages that ten clients are told of")
    parser.add_argument("--spares", type=int, default=10, help="wakes of a process that has everything imported")
    parser.add_argument("--alone", action="store_true", help="leave upstream's gateway out")
    given = parser.parse_args()
    report = Report("openclaw")
    peer = not given.alone and has_peer()
    asyncio.run(bench(given.rounds, given.turns, given.injections, given.spares, peer, report))
    report.finish(given.json)


if __name__ == "__main__":
    main()
