"""What do parked clients cost, and how much later is their first reply than a new connection's?

1. Memory and CPU of `openclaw-tenancy up` with `--connections` clients of sleeping tenants. Bars: 4 KiB each, 1 % of a core.
2. A parked client's first reply against that of a client that connects anew to the same sleeping tenant, in turns. Bar: + 100 ms.
3. A storm: all parked clients ask at once. Bar: all are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from load.sleeping import API, CONFIG, Talker, finish
from openclaw_tenancy.admin_client import ask
from openclaw_tenancy.demo.fakellm import FakeLLM
from openclaw_tenancy.demo.machine import Machine, machine
from tenant_api.tokens import token_digest

STORM = 120.0
"""Seconds until every client of the storm must have its answer."""
TICKS = os.sysconf("SC_CLK_TCK")


def write_tenants(directory: Path, names: list[str], llm: str) -> None:
    """Write one native template and these tenants, whose tokens are `token-NAME`."""
    spec = {"version": "1", "runtime": "native", "config": CONFIG % llm, "idle": {"timeout": "2s"}}
    template = {"apiVersion": API, "kind": "TenantTemplate", "metadata": {"name": "standard"}, "spec": spec}
    (directory / "template.json").write_text(json.dumps(template))
    for name in names:
        token = {"name": "only", "sha256": token_digest(f"token-{name}").hex()}
        tenant = {"userId": name, "templateRef": {"name": "standard"}, "tokens": [token]}
        document = {"apiVersion": API, "kind": "Tenant", "metadata": {"name": name}, "spec": tenant}
        (directory / f"{name}.json").write_text(json.dumps(document))


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process, without its children's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def all_asleep(up: Machine, seconds: float = 120.0) -> None:
    """Wait until no tenant is awake."""
    async with asyncio.timeout(seconds):
        while any(one["state"] not in ("asleep", "failed") for one in await up.tenants()):
            await asyncio.sleep(0.2)


async def parked(up: Machine, names: list[str], connections: int, seconds: float) -> dict[str, Any]:
    """Measure clients that are parked, then wake them all at once."""
    pid = up.process.pid
    empty = memory(pid)
    # All tenants awake at once before, so that what their lives take is not counted as their clients', but apart.
    firsts = [Talker(up.url, name) for name in names]
    await asyncio.gather(*(first.connect() for first in firsts))
    await all_asleep(up)
    await asyncio.gather(*(first.close() for first in firsts))
    base = memory(pid)
    talkers = [Talker(up.url, names[number % len(names)]) for number in range(connections)]
    for start in range(0, connections, len(names)):
        await asyncio.gather(*(talker.connect() for talker in talkers[start : start + len(names)]))
    await all_asleep(up)
    resting = [asyncio.ensure_future(talker.drain(seconds + 1)) for talker in talkers]
    grown, before, began = memory(pid) - base, cpu(pid), time.monotonic()
    await asyncio.sleep(seconds)
    used, took = cpu(pid) - before, time.monotonic() - began
    now_parked = sum(one["parked"] for one in await up.tenants())
    await asyncio.gather(*resting)
    ticks = sum(talker.events.count("tick") for talker in talkers)
    began = time.monotonic()
    async with asyncio.timeout(STORM):
        replies = await asyncio.gather(*(_asked(talker) for talker in talkers))
    last = time.monotonic() - began
    resting = [asyncio.ensure_future(talker.drain(3600.0)) for talker in talkers]
    await all_asleep(up)
    again = memory(pid) - base
    for task in resting:
        task.cancel()
    await asyncio.gather(*resting, return_exceptions=True)
    report = {
        "connections": connections,
        "parked": now_parked,
        "KiB each": round(grown / 1024 / connections, 2),
        "KiB each, asleep again after the storm": round(again / 1024 / connections, 2),
        "KiB a tenant that was awake": round((base - empty) / 1024 / len(names), 1),
        "percent of a core": round(100 * used / took, 3),
        "ticks each in the time": round(ticks / connections, 2),
        "storm answered": len(replies),
        "storm seconds median": round(statistics.median(replies), 3),
        "storm seconds last": round(last, 3),
        "connects each": round(sum(talker.connects for talker in talkers) / connections, 3),
        "errors": sum(len(talker.errors) for talker in talkers),
    }
    for talker in talkers:
        await talker.close()
    return report


async def _asked(talker: Talker) -> float:
    began = time.monotonic()
    await talker.call("sessions.list", limit=1)
    return time.monotonic() - began


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    return [int(one) for tasks in Path(f"/proc/{pid}/task").glob("*/children") for one in tasks.read_text().split()]


async def at_rest(up: Machine, name: str, spare: bool, seconds: float = 60.0) -> None:
    """Wait until a tenant sleeps and the one child of `up` is its spare launcher; end that too unless it is wanted.

    Otherwise whoever asks first finds a spare and the other one, who asks less than a second later, finds none.
    """
    async with asyncio.timeout(seconds):
        while (await up.tenant(name))["state"] != "asleep" or len(children(up.process.pid)) != 1:
            await asyncio.sleep(0.1)
        if not spare:
            (launcher,) = children(up.process.pid)
            for one in (*children(launcher), launcher):
                os.kill(one, signal.SIGKILL)
            while children(up.process.pid):
                await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)


async def first_reply(up: Machine, name: str, rounds: int, spare: bool, others: int = 0) -> dict[str, Any]:
    """Time the first reply of a sleeping tenant, to a parked and to a new client: pairs, each in the other order."""
    stays = Talker(up.url, name)
    # What a TUI subscribes to; all of it has to be made again before its request goes on.
    there = [stays, *(Talker(up.url, name) for _ in range(others))]
    for one in there:
        await one.connect()
        await one.call("sessions.subscribe")
        await one.call("sessions.messages.subscribe", key="agent:main:main")
    resting = [asyncio.ensure_future(one.drain(3600.0)) for one in there[1:]]
    pairs: list[dict[str, float]] = []
    for number in range(rounds):
        pair = {}
        for kind in ("parked", "new") if number % 2 else ("new", "parked"):
            await asyncio.to_thread(ask, up.up, "POST", "tenants", name, "suspend")
            await at_rest(up, name, spare)
            comes = stays if kind == "parked" else Talker(up.url, name)
            began = time.perf_counter()
            if kind == "new":
                await comes.connect()
            await comes.call("sessions.list", limit=1)
            pair[kind] = (time.perf_counter() - began) * 1000
            # The gateway's own start is most of it and differs most; what is left is the router's.
            pair[f"{kind} besides"] = pair[kind] - (await up.tenant(name))["lastWake"]["ready"] * 1000
            if kind == "new":
                await comes.close()
        pairs.append(pair)
    later = [pair["parked"] - pair["new"] for pair in pairs]
    for task in resting:
        task.cancel()
    await asyncio.gather(*resting, return_exceptions=True)
    report = {
        "pairs": rounds,
        "parked ms median": round(statistics.median(pair["parked"] for pair in pairs), 1),
        "new ms median": round(statistics.median(pair["new"] for pair in pairs), 1),
        "later ms median of pairs": round(statistics.median(later), 1),
        "parked besides the start ms median": round(statistics.median(pair["parked besides"] for pair in pairs), 1),
        "new besides the start ms median": round(statistics.median(pair["new besides"] for pair in pairs), 1),
        "later besides the start ms median of pairs": round(
            statistics.median(pair["parked besides"] - pair["new besides"] for pair in pairs), 1
        ),
        "later ms lowest": round(min(later), 1),
        "later ms highest": round(max(later), 1),
        "pairs more than 100 ms later": sum(one > 100 for one in later),
        "connects of the parked client": stays.connects,
    }
    for one in there:
        await one.close()
    return report


async def run(connections: int, tenants: int, seconds: float, rounds: int) -> dict[str, Any]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="openclaw-tenancy-park-") as folder:
        root = Path(folder)
        directory = root / "tenants"
        directory.mkdir()
        names = [f"t{number}" for number in range(tenants)]
        async with FakeLLM() as llm:
            write_tenants(directory, names, llm.base_url)
            async with machine(directory, root / "data", root / "up.log") as up:
                report: dict[str, Any] = {}
                if rounds:
                    report["first reply"] = await first_reply(up, names[0], rounds, spare=True)
                    report["first reply without a spare"] = await first_reply(up, names[0], rounds, spare=False)
                    report["first reply with four others parked"] = await first_reply(
                        up, names[0], rounds, spare=True, others=4
                    )
                if connections:
                    report["parked"] = await parked(up, names, connections, seconds)
    return report


def main() -> int:
    """Print a report as JSON; 1 when a client was not answered, or told of the sleep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the numbers, flat")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = asyncio.run(run(options.connections, options.tenants, options.seconds, options.rounds))
    finish(report, options.json)
    held = report.get("parked", {})
    return 0 if held.get("storm answered") == held.get("connections") and not held.get("errors") else 1


if __name__ == "__main__":
    sys.exit(main())
