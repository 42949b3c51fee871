"""Both runtimes as processes with the same configuration, the same model, and an empty state directory each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from native_world import TOKEN, base_config

from ports import free_port
from tenant_local.runtimes import openclaw
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

READY_SECONDS = 150.0
"""Upstream's gateway needs 10 to 12 s of processor time; with others on the machine that is a minute."""

END_SECONDS = 20.0


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that answers."""

    runtime: str
    port: int
    state: Path

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def workspace(self) -> Path:
        """The agent's files."""
        return self.state / "workspace"


def config(llm_url: str, port: int, workspace: Path) -> dict[str, Any]:
    """Return a configuration that both runtimes take."""
    made = base_config(llm_url)
    made["gateway"]["port"] = port
    made["gateway"]["controlUi"] = {"enabled": False}
    made["agents"]["defaults"] |= {"workspace": str(workspace), "heartbeat": {"every": "0m"}}
    return made


@contextmanager
def upstream(runtime: OpenClawRuntime, home: Path, llm_url: str) -> Iterator[RunningGateway]:
    """Run upstream's gateway, ready for clients, until the block ends."""
    state, port = home / "state", free_port()
    recipe = openclaw.recipe()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "OPENCLAW_STATE_DIR": str(state),
        "OPENCLAW_CONFIG_PATH": str(home / "openclaw.json"),
        **recipe.env,
    }
    argv = [str(runtime.node), str(runtime.entry), "gateway", "run"]
    with _process("openclaw", argv, environ, home, config(llm_url, port, state / "workspace"), port) as gateway:
        yield gateway


@contextmanager
def native(home: Path, llm_url: str) -> Iterator[RunningGateway]:
    """Run the native gateway, ready for clients, until the block ends."""
    state, port = home / "state", free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "OPENCLAW_STATE_DIR": str(state),
        "OPENCLAW_CONFIG_PATH": str(home / "openclaw.json"),
    }
    argv = [sys.executable, "-m", "tenant_gateway"]
    with _process("native", argv, environ, home, config(llm_url, port, state / "workspace"), port) as gateway:
        yield gateway


@contextmanager
def _process(
    runtime: str, argv: Sequence[str], environ: Mapping[str, str], home: Path, settings: dict[str, Any], port: int
) -> Iterator[RunningGateway]:
    state = home / "state"
    for folder in (state, home / "tmp"):
        folder.mkdir(parents=True, exist_ok=True)
    (home / "openclaw.json").write_text(json.dumps(settings))
    with (home / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=state, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_ready(process, port, home / "gateway.log")
        yield RunningGateway(runtime, port, state)
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _started(port):
            return
        try:  # a wait that ends early when the process does
            process.wait(0.25)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"it is not ready (exit status {process.poll()}):\n{log.read_text()[-3000:]}")


def _started(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/startupz", timeout=5) as answer:
            return bool(json.load(answer).get("status") == "started")
    except OSError:
        return False


__all__ = ["TOKEN", "RunningGateway", "native", "upstream"]
