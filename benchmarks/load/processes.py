"""The processes of a run, each on its core: proxies alone on one, backend and client together on the other."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .build import build

TOKEN = "benchmark-token"
HELLO = Path(__file__).parent.parent / "data" / "hello_payload.json"
READY_SECONDS = 30.0
"""For a proxy to listen; the router takes under a second, on a busy machine a few."""
CLIENT_SECONDS = 150.0
"""For one run of the client, which gives up itself after 120 s."""


class LoadFailed(Exception):
    """A run of the client failed; what it said."""


def raise_descriptor_limit() -> int:
    """Raise RLIMIT_NOFILE to the hard limit, for us and all that we start, and return it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cores() -> tuple[int, int]:
    """Cores for the proxies and for the load; the same one when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


def pinned(core: int) -> list[str]:
    """Return what stands before a command that shall run on one core (util-linux; it becomes the command, same pid)."""
    return ["taskset", "-c", str(core)]


def free_port() -> int:
    """Return a port of the loopback interface that was free just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[Any]) -> None:
    """Return when something listens.

    Raises
    ------
    LoadFailed
        The process ended, or `READY_SECONDS` are over.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise LoadFailed(f"{process.args!r} does not listen on port {port}; exit status {process.poll()}")


class Backend:
    """The gateway that all subjects stand in front of."""

    def __init__(self, core: int) -> None:
        self._process = subprocess.Popen(
            [*pinned(core), str(build() / "backend"), "0", str(HELLO)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stats(self) -> dict[str, int]:
        """Return the backend's counters."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=10) as response:
            found: dict[str, int] = json.load(response)
            return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def rss(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _command(core: int, port: int, pid: int, mode: str, arguments: tuple[object, ...]) -> list[str]:
    client = str(build() / "client")
    return [*pinned(core), client, "127.0.0.1", str(port), TOKEN, str(pid), mode, *map(str, arguments)]


def run_client(core: int, port: int, pid: int, mode: str, *arguments: object) -> dict[str, float]:
    """Run the client against a proxy and return what it measured.

    Raises
    ------
    LoadFailed
        It failed, or lost connections.
    """
    done = subprocess.run(
        _command(core, port, pid, mode, arguments),
        capture_output=True,
        check=False,
        text=True,
        timeout=CLIENT_SECONDS,
    )
    if done.returncode or not done.stdout:
        raise LoadFailed(f"{mode} {arguments}: {done.stderr.strip() or done.returncode}")
    result: dict[str, float] = json.loads(done.stdout)
    if result.get("errors"):
        raise LoadFailed(f"{mode} {arguments}: {result}")
    return result


@contextlib.contextmanager
def client_holding(core: int, port: int, mode: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run the client beside us; it has its standard input until the context ends."""
    process = subprocess.Popen(
        _command(core, port, 0, mode, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
