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
    # All tenants awake at once before, so that what their lives take is not counted as their clients'.
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
    report = {
        "connections": connections,
        "parked": now_parked,
        "KiB each": round(grown / 1024 / connections, 2),
        "percent of a core": round(100 * used / took, 3),
        "ticks each in the time": round(ticks / connections, 2),
        "storm answered": len(replies),
        "storm seconds median": round(statistics.median(replies), 3),
        "storm seconds last": round(time.monotonic() - began, 3),
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


async def first_reply(up: Machine, name: str, rounds: int) -> dict[str, Any]:
    """Time the first reply of a sleeping tenant, to a parked and to a new client in turns."""
    stays = Talker(up.url, name)
    await stays.connect()
    times: dict[str, list[float]] = {"parked": [], "new": []}
    for number in range(rounds * 2):
        while (await up.tenant(name))["state"] != "asleep":
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)  # until the spare launcher is there again
        began = time.perf_counter()
        if number % 2:
            await stays.call("sessions.list", limit=1)
            times["parked"].append(time.perf_counter() - began)
        else:
            comes = Talker(up.url, name)
            await comes.connect()
            await comes.call("sessions.list", limit=1)
            times["new"].append(time.perf_counter() - began)
            await comes.close()
        await asyncio.to_thread(ask, up.up, "POST", "tenants", name, "suspend")
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    await stays.close()
    return {
        "rounds": rounds,
        "parked ms median": round(medians["parked"] * 1000, 1),
        "new ms median": round(medians["new"] * 1000, 1),
        "later ms": round((medians["parked"] - medians["new"]) * 1000, 1),
        "connects of the parked client": stays.connects,
    }


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
                report = {"first reply": await first_reply(up, names[0], rounds)} if rounds else {}
                if connections:
                    report["parked"] = await parked(up, names, connections, seconds)
    return report


def main() -> int:
    """Print a report as JSON; 1 when a client was not answered, or told of the sleep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=15)
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
