"""Does anybody notice that tenants sleep? A client sends at random instants around a suspend, or while its gateway is killed.

`--rounds 200` must end with 200 answers, each message exactly once in the transcript, on one connection; `--kills 100` with every
acknowledged message in the transcript and the client back by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from load.sleeping import OneMachine, Talker, finish, one_machine
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_router.loop import RelayLoop
from tenant_router.suspend.conversation import QUIET

EARLY = 0.010
"""Seconds before a suspend begins from which on the message may be sent."""
CONVERSATION = 0.120
"""Seconds after it began until which half of the messages are sent: fence, prepare, park take 10-60 ms."""
GONE = {"native": 0.120, "openclaw": 2.5}
"""Seconds after it began until which the other half are: then the gateway has ended."""
KILL = {"native": 0.08, "openclaw": 2.0}
"""Seconds after a message within which the gateway is killed: it takes the message, has its turn, or is starting still."""


async def sleep_rounds(machine: OneMachine, rounds: int, seed: int) -> dict[str, Any]:
    """Send one message a round at a random instant around a suspend."""
    dice = random.Random(seed)
    talker = Talker(machine.url, "anna")
    await talker.connect()
    await talker.call("sessions.subscribe")
    waits: list[float] = []
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for number in range(rounds):
        offset = dice.uniform(-EARLY, dice.choice((CONVERSATION, GONE[machine.runtime])))
        await talker.drain(QUIET + EARLY + 0.1)  # so that the last round's request is not what keeps it awake

        async def suspend(before: float = max(0.0, -offset)) -> str:
            await asyncio.sleep(before)
            later = await machine.sleep("anna")
            return "slept" if later is None else later.why.partition(":")[0]

        suspending = asyncio.ensure_future(suspend())
        await asyncio.sleep(max(0.0, offset))
        began = time.perf_counter()
        reply = await talker.say(f"round {number} of {rounds}")
        waits.append(time.perf_counter() - began)
        outcomes[await suspending] += 1
        if f"round {number} of {rounds}" not in reply:
            wrong.append(reply)
    told = [text for role, text in await talker.messages() if role == "user"]
    counts = Counter(told)
    await talker.close()
    return {
        "rounds": rounds,
        "answers": len(waits) - len(wrong),
        "exactly once": sum(counts[f"round {number} of {rounds}"] == 1 for number in range(rounds)),
        "connections": talker.connects,
        "errors": talker.errors[:10],
        "suspends": dict(outcomes),
        "seconds median": round(statistics.median(waits), 4),
        "seconds p99": round(sorted(waits)[int(len(waits) * 0.99)], 4),
    }


async def kill_rounds(machine: OneMachine, rounds: int, seed: int) -> dict[str, Any]:
    """Kill the gateway at a random instant around a message."""
    dice = random.Random(seed)
    talker = Talker(machine.url, "anna")
    await talker.connect()
    kills = 0
    for number in range(rounds):

        async def kill(after: float = dice.uniform(0.0, KILL[machine.runtime])) -> int:
            await asyncio.sleep(after)
            pid = machine.pid("anna")
            if pid is None:
                return 0
            os.kill(pid, signal.SIGKILL)
            machine.fleet._lives["anna"].backoff.reset()
            return 1

        killing = asyncio.ensure_future(kill())
        await talker.say(f"kill {number} of {rounds}")
        kills += await killing
        machine.fleet._lives["anna"].backoff.reset()
    told = Counter(text for role, text in await talker.messages() if role == "user")
    await talker.close()
    return {
        "rounds": rounds,
        "kills": kills,
        "in the transcript": sum(told[f"kill {number} of {rounds}"] >= 1 for number in range(rounds)),
        "exactly once": sum(told[f"kill {number} of {rounds}"] == 1 for number in range(rounds)),
        "connections": talker.connects,
        "errors": dict(Counter(error[:60] for error in talker.errors)),
    }


async def run(rounds: int, kills: int, runtime: str, seed: int) -> dict[str, Any]:
    """Run both."""
    report: dict[str, Any] = {"seed": seed}
    async with FakeLLM() as llm:
        for what, count, play in (("sleep", rounds, sleep_rounds), ("kill", kills, kill_rounds)):
            if not count:
                continue
            with tempfile.TemporaryDirectory(prefix="openclaw-tenancy-sleep-") as root:
                async with one_machine(Path(root), ["anna"], llm, runtime) as machine:
                    report[what] = await play(machine, count, seed)
    return report


def main() -> int:
    """Print a report as JSON; 1 when something was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--runtime", choices=("native", "openclaw"), default="native")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the numbers, flat")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=RelayLoop) as runner:
        report = runner.run(run(options.rounds, options.kills, options.runtime, options.seed))
    finish(report, options.json)
    slept = report.get("sleep", {})
    good = slept.get("exactly once") == slept.get("rounds") == slept.get("answers")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
