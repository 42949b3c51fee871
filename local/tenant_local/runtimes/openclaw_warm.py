"""Fill V8's compile cache: one boot of an offline gateway with a throw-away state directory, and one CLI call to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

START_TIMEOUT = 120.0
"""Seconds until the gateway must be ready: 12-19 s on two idle cores without a cache."""

STOP_TIMEOUT = 30.0
"""Seconds an idle gateway may take to end after SIGTERM (upstream: 0.3-1.5 s). Node writes the cache as it ends."""

Cli = Callable[[Sequence[str], Mapping[str, str]], tuple[list[str], dict[str, str]]]


class WarmFailed(Exception):
    """The gateway did not start or did not answer; the text ends with the last lines of its log."""


def fill(cli: Cli, going_on: Callable[[], None]) -> None:
    """Boot a gateway, ask it for its health with the CLI, stop it. `going_on` is called about twice a second.

    Raises
    ------
    WarmFailed
    """
    with tempfile.TemporaryDirectory(prefix="openclaw-warm-") as folder:
        home = Path(folder)
        port = _free_port()
        config = home / "openclaw.json"
        gateway = {
            "mode": "local",
            "bind": "loopback",
            "port": port,
            "auth": {"mode": "token"},
            "controlUi": {"enabled": False},
        }
        config.write_text(json.dumps({"gateway": gateway, "models": {"mode": "replace"}}))
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": folder,
            "TMPDIR": folder,
            "OPENCLAW_STATE_DIR": str(home / "state"),
            "OPENCLAW_CONFIG_PATH": str(config),
            "OPENCLAW_GATEWAY_TOKEN": "warm",  # lives as long as the throw-away gateway on a loopback port
            "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_SUPERVISOR_MODE": "external",  # no repair agent, no self-update
            "OPENCLAW_DISABLE_BONJOUR": "1",
        }
        log = home / "gateway.log"
        with log.open("w") as output:
            argv, full = cli(["gateway", "run"], env)
            process = subprocess.Popen(
                argv, env=full, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _until_ready(process, port, going_on, log)
            _ask(cli, env, port, home)
        finally:
            _stop(process)


def _until_ready(process: subprocess.Popen[bytes], port: int, going_on: Callable[[], None], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _started(port):
        if process.poll() is not None:
            raise WarmFailed(f"it exited with {process.returncode}. {_tail(log)}")
        if time.monotonic() > deadline:
            raise WarmFailed(f"not ready after {START_TIMEOUT:.0f} s. {_tail(log)}")
        going_on()
        time.sleep(0.4)  # each question costs the starting gateway some CPU


def _started(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/startupz")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read()).get("status") == "started"
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _ask(cli: Cli, env: Mapping[str, str], port: int, home: Path) -> None:
    client = {
        "PATH": env["PATH"],
        "HOME": str(home / "client"),
        "TMPDIR": env["TMPDIR"],
        "OPENCLAW_STATE_DIR": str(home / "client"),
    }
    argv, full = cli(
        ["gateway", "call", "health", "--json", "--url", f"ws://127.0.0.1:{port}", "--token", "warm"], client
    )
    (home / "client").mkdir()
    try:
        subprocess.run(argv, env=full, cwd=home, capture_output=True, timeout=60, check=True)
    except subprocess.TimeoutExpired as error:
        raise WarmFailed("its own client got no answer in 60 s") from error
    except subprocess.CalledProcessError as error:
        raise WarmFailed(f"its own client failed: {error.stderr.decode(errors='replace')[-400:]}") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(log: Path) -> str:
    return "Its log ends: " + " | ".join(log.read_text(errors="replace").strip().splitlines()[-6:])
