"""A running `openclaw-tenancy up` as the demo uses it: started as a child process, asked by its own commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..admin_client import ask
from ..running import RunningUp, running

READY_TIMEOUT = 30.0
"""Seconds until `up` must be ready; about 1 s on two idle cores."""
STOP_TIMEOUT = 60.0
"""Seconds from SIGTERM until `up` must have ended with all its gateways."""


class DemoFailed(Exception):
    """Something did not go as it should; the text says what."""


@dataclass(slots=True)
class Machine:
    """One `up`."""

    data: Path
    log: Path
    process: asyncio.subprocess.Process
    up: RunningUp

    @property
    def url(self) -> str:
        """Return the Gateway URL that clients are given, the same for all tenants."""
        return f"ws://{self.up.listen}"

    async def tenants(self) -> list[dict[str, Any]]:
        """Return what `openclaw-tenancy tenants --json` prints."""
        report = await asyncio.to_thread(ask, self.up, "GET", "tenants")
        found: list[dict[str, Any]] = report["tenants"]
        return found

    async def tenant(self, name: str) -> dict[str, Any]:
        """Return one tenant of `tenants`."""
        return next(one for one in await self.tenants() if one["name"] == name)

    async def stop(self) -> float:
        """Send SIGTERM and wait for the end; return the seconds that took.

        Raises
        ------
        DemoFailed
            It did not end by itself with exit code 0.
        """
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT)
        except TimeoutError:
            raise DemoFailed(f"`up` did not end within {STOP_TIMEOUT:.0f} s. {self.tail()}") from None
        if code:
            raise DemoFailed(f"`up` ended with exit code {code}. {self.tail()}")
        return time.monotonic() - started

    def tail(self) -> str:
        """Return the end of its log."""
        return _tail(self.log)


@asynccontextmanager
async def machine(directory: Path, data: Path, log: Path) -> AsyncIterator[Machine]:
    """Run `openclaw-tenancy up` while the block runs.

    Raises
    ------
    DemoFailed
        It does not come up.
    """
    free = "127.0.0.1:0"
    argv = [*command(), "up", str(directory), "--listen", free, "--admin", free, "--data", str(data)]
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield Machine(data, log, process, await _ready(process, log))
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
            except TimeoutError:
                process.kill()
                await process.wait()


def command() -> list[str]:
    """Return how `openclaw-tenancy` is started from this installation."""
    return [str(Path(sys.executable).with_name("openclaw-tenancy"))]


async def new_token(tenant: str, directory: Path) -> str:
    """Run `openclaw-tenancy token new`; return the token, which exists nowhere else."""
    argv = [*command(), "token", "new", tenant, "--dir", str(directory), "--json"]
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    if process.returncode:
        raise DemoFailed(f"`token new {tenant}` failed: {err.decode(errors='replace').strip()}")
    token: str = json.loads(out)["token"]
    return token


async def _ready(process: asyncio.subprocess.Process, log: Path) -> RunningUp:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise DemoFailed(f"`up` ended with exit code {process.returncode}. {_tail(log)}")
        for up in running():
            if up.pid == process.pid:
                return up
        await asyncio.sleep(0.05)
    raise DemoFailed(f"`up` was not ready after {READY_TIMEOUT:.0f} s. {_tail(log)}")


def alive(pid: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tail(log: Path) -> str:
    return "Its log ends:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
