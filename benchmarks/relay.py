"""What does the relay cost? CPU per message and per connection, memory per idle connection, each beside HAProxy.

CPU is read from the scheduler (/proc/PID/task/*/schedstat), so other work on the machine changes it little; the subjects
take turns within a round, and a ratio is that of two runs of the same round. Never a test of time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from load import haproxy
from load.build import BuildFailed
from load.processes import (
    TOKEN,
    Backend,
    LoadFailed,
    client_holding,
    cores,
    free_port,
    pinned,
    raise_descriptor_limit,
    rss,
    run_client,
    wait_for_port,
)
from load.report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
OWN_DESCRIPTORS = 100
"""Descriptors of a proxy that are not connections."""
SETTLE_SECONDS = 1.0
"""From the last hello until memory is read: deferred frees have run by then."""
SLOW_FRAMES = 3000
"""64 KiB each: more than all kernel buffers on the way hold (about 10 MB)."""


@dataclass(frozen=True)
class Traffic:
    """One kind of load on established connections, or of connecting, and what it is divided by."""

    name: str
    ratio: str
    mode: str
    arguments: tuple[object, ...]
    units: Callable[[dict[str, float]], float]


def relayed(result: dict[str, float]) -> float:
    """Messages relayed one way: an echo is two."""
    return 2 * result["echoes"]


def kinds(seconds: float) -> list[Traffic]:
    """Return what is measured in each round, each for so many seconds."""
    return [
        Traffic("cpu_us_per_message_64b", "cpu_64b", "thr", (64, 1, 64, seconds), relayed),
        Traffic("cpu_us_per_message_4k", "cpu_4k", "thr", (64, 1, 4096, seconds), relayed),
        Traffic("cpu_us_per_message_pipelined", "cpu_pipelined", "thr", (64, 16, 64, seconds), relayed),
        Traffic(
            "cpu_us_per_mb_of_1m_messages", "cpu_1m", "thr", (4, 1, 1 << 20, seconds), lambda r: 2 * r["bytes"] / 1e6
        ),
        Traffic(
            "cpu_us_per_message_streamed",
            "cpu_streamed",
            "stream",
            (200, 50, 120, 2 * seconds),
            lambda r: r["messages"],
        ),
        Traffic("cpu_us_per_connection", "cpu_connection", "conn", (32, seconds), lambda r: r["cycles"]),
    ]


class Subjects:
    """The router and HAProxy, in front of one backend."""

    def __init__(self, stack: ExitStack, connections: int) -> None:
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self._connections = connections
        self._haproxy = haproxy.find()
        print(f"HAProxy {haproxy.version(self._haproxy)}, 1 thread; Python {sys.version.split()[0]}", flush=True)
        self.proxy_core, self.load_core = cores()
        self.backend = Backend(self.load_core)
        stack.callback(self.backend.close)

    def _command(self, name: str, port: int) -> list[str]:
        if name == "haproxy":
            return haproxy.command(self._haproxy, self._folder, port, self.backend.port, self._connections)
        return [sys.executable, str(HERE / "load" / "router_process.py"), str(port), str(self.backend.port), TOKEN]

    @contextmanager
    def running(self, name: str) -> Iterator[tuple[int, int]]:
        """Run a subject of its own process: port and pid."""
        port = free_port()
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([*pinned(self.proxy_core), *self._command(name, port)], stdout=log, stderr=log)
        try:
            wait_for_port(port, process)
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


def measure_traffic(subjects: Subjects, report: Report, rounds: int, seconds: float) -> None:
    """CPU per message and per connection; in a round the two run A B B A, so that a slow drift falls on both alike."""
    with subjects.running("router") as router, subjects.running("haproxy") as peer:
        for turn in range(rounds):
            for traffic in kinds(seconds / 2):
                cpu = dict.fromkeys((router, peer), 0.0)
                units = dict.fromkeys((router, peer), 0.0)
                for subject in (router, peer, peer, router) if turn % 2 else (peer, router, router, peer):
                    result = run_client(subjects.load_core, *subject, traffic.mode, *traffic.arguments)
                    cpu[subject] += 1e6 * result["cpu"]
                    units[subject] += traffic.units(result)
                cost = {subject: cpu[subject] / units[subject] for subject in cpu}
                report.compare(traffic.name, traffic.ratio, cost[router], cost[peer])
            print(f"round {turn + 1} of {rounds} done", flush=True)


def measure_idle(subjects: Subjects, report: Report, connections: int, label: str) -> None:
    """Memory per connection that stands idle, in fresh processes: freed memory of earlier ones would hide it."""
    found = {}
    for name in ("haproxy", "router"):
        with subjects.running(name) as (port, pid):
            before = rss(pid)
            with client_holding(subjects.load_core, port, "idle", connections) as client:
                assert client.stdout is not None
                if f'"ready":{connections},' not in (line := client.stdout.readline()):
                    raise LoadFailed(f"idle connections through {name}: {line.strip() or 'none'}")
                time.sleep(SETTLE_SECONDS)
                found[name] = (rss(pid) - before) / 1024 / connections
            if name == "router":
                report.note("base_mib", before / 2**20)
    report.note(f"idle_connections_{label}", connections)
    report.compare(f"idle_kib_per_connection_{label}", f"idle_{label}", found["router"], found["haproxy"])


def measure_slow_reader(subjects: Subjects, report: Report, pause: float) -> None:
    """Memory that grows, and bytes that leave the gateway, while a client does not read."""
    with subjects.running("router") as (port, pid):
        before, sent = rss(pid), subjects.backend.stats()["flood_sent"]
        with client_holding(subjects.load_core, port, "slow", SLOW_FRAMES, pause) as client:
            top, end = before, time.monotonic() + pause * 0.9
            while time.monotonic() < end:
                top = max(top, rss(pid))
                time.sleep(0.05)  # between samples of RSS
            taken = subjects.backend.stats()["flood_sent"] - sent
            assert client.stdout is not None
            if f'"bytes":{SLOW_FRAMES * 65536}' not in client.stdout.readline():
                raise LoadFailed("a slow reader did not get all bytes")
    report.note("slow_reader_growth_mib", (top - before) / 2**20)
    report.note("slow_reader_taken_mb", taken / 1e6)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as flat JSON")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    # A connection's first hundred requests are looked at, and two thousand more follow: shorter runs would measure the former.
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round's run of one kind, default 4")
    parser.add_argument("--idle", type=int, default=2000, help="idle connections, default 2000")
    parser.add_argument(
        "--most", type=int, help="idle connections of the large run, default: what RLIMIT_NOFILE allows"
    )
    options = parser.parse_args()
    limit = (raise_descriptor_limit() - OWN_DESCRIPTORS) // 2
    most = min(options.most or limit, limit)
    report = Report("haproxy")
    try:
        with ExitStack() as stack:
            subjects = Subjects(stack, limit)
            measure_traffic(subjects, report, options.rounds, options.seconds)
            measure_idle(subjects, report, min(options.idle, limit), "few")
            if most > options.idle:
                measure_idle(subjects, report, most, "many")
            measure_slow_reader(subjects, report, 2 * options.seconds)
    except (BuildFailed, LoadFailed, haproxy.NoHAProxy) as error:
        sys.exit(f"relay: {error}")
    report.finish(options.json)


if __name__ == "__main__":
    main()
