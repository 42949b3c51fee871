"""The benchmarks run: the load goes through a real router in every mode, and the report says what was measured. No times."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from load.processes import TOKEN, Backend, cores, free_port, run_client, wait_for_port  # noqa: E402
from load.report import Report  # noqa: E402

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="the load generator is C, and there is no gcc")

MODES = [
    ("rtt", (64, 20)),
    ("thr", (4, 2, 64, 0.2)),
    ("thr", (2, 1, 1 << 20, 0.2)),
    ("conn", (4, 0.2)),
    ("stream", (4, 50, 120, 0.2)),
    ("slow", (40, 0.1)),
    ("push", (0.2,)),
]


@pytest.fixture(scope="module")
def router_port() -> Iterator[tuple[int, int]]:
    """Port and pid of a router in front of the C backend."""
    backend, port = Backend(cores()[1]), free_port()
    router = subprocess.Popen(
        [sys.executable, str(BENCHMARKS / "load" / "router_process.py"), str(port), str(backend.port), TOKEN]
    )
    try:
        wait_for_port(port, router)
        yield port, router.pid
    finally:
        router.terminate()
        assert router.wait(10) == 0
        backend.close()


@needs_compiler
@pytest.mark.parametrize(("mode", "arguments"), MODES, ids=str)
def test_every_mode_goes_through_the_router(
    router_port: tuple[int, int], mode: str, arguments: tuple[float, ...]
) -> None:
    port, pid = router_port
    result = run_client(cores()[1], port, pid, mode, *arguments)
    assert next(result[unit] for unit in ("echoes", "cycles", "messages", "bytes", "taken") if unit in result) > 0
    assert "cpu" not in result or result["cpu"] > 0


@needs_compiler
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="the peer is HAProxy, and it is not installed")
def test_the_relay_is_measured_beside_haproxy(tmp_path: Path) -> None:
    few = ["--rounds", "1", "--seconds", "0.2", "--idle", "20", "--most", "40", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "relay.py"), *few], capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out.json").read_text())
    ratios = {name for name in numbers if name.endswith("_vs_haproxy")}
    assert ratios == {part.split("=")[0] for part in done.stdout.splitlines()[-1].split()}
    assert {
        "cpu_64b_vs_haproxy",
        "cpu_streamed_vs_haproxy",
        "cpu_connection_vs_haproxy",
        "idle_many_vs_haproxy",
    } <= ratios
    assert all(numbers[name] > 0 for name in ratios)


def test_ratios_are_of_the_same_round_and_come_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("haproxy")
    for subject, peer in ((2.0, 1.0), (9.0, 3.0), (40.0, 10.0)):
        report.compare("cpu_us", "cpu", subject, peer)
    report.note("base_mib", 20.0)
    report.finish(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "cpu_us": 9.0,
        "haproxy_cpu_us": 3.0,
        "base_mib": 20.0,
        "cpu_vs_haproxy": 3.0,
    }
    assert capsys.readouterr().out.splitlines()[-1] == "cpu_vs_haproxy=3"


def test_the_gateway_is_measured(tmp_path: Path) -> None:
    few = ["--alone", "--rounds", "1", "--turns", "3", "--injections", "5", "--spares", "1"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "gateway.py"), *few, "--json", str(tmp_path / "out.json")],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads((tmp_path / "out.json").read_text())
    phases = {"listening_ms", "hello_ms", "hello_cpu_ms", "spare_hello_ms"}
    assert {*phases, "idle_rss_mib", "turns_private_mib", "turn_cpu_ms", "events_hz", "event_cpu_us"} <= numbers.keys()
    assert all(value > 0 for value in numbers.values())


@pytest.mark.parametrize("program", ["relay.py", "wake.py", "gateway.py"])
def test_a_program_says_what_it_measures(program: str) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), "--help"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0
    assert "--json FILE" in done.stdout
