"""Upstream's own command line client, unmodified, run as a user runs it: a home of its own, a URL and a token."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

RUN_TIMEOUT = 120.0
"""Seconds after which a client is killed and the test fails: the longest turn after the longest wake, doubled."""


@dataclass(frozen=True)
class Finished:
    """How a client ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Any:
        """The JSON on stdout, which may come after log lines."""
        start = min((at for at in (self.stdout.find("{"), self.stdout.find("[")) if at >= 0), default=None)
        assert start is not None, f"no JSON in {self.stdout!r}; stderr {self.stderr!r}"
        return json.JSONDecoder().raw_decode(self.stdout, start)[0]

    @property
    def reply(self) -> str:
        """The text that `openclaw agent --json` was answered with."""
        payloads = self.json["result"]["payloads"]
        return "\n".join(payload["text"] for payload in payloads)

    def ok(self) -> Finished:
        """Assert exit code 0."""
        assert self.code == 0, f"exit code {self.code} after {self.seconds:.1f} s\n{self.stdout}\n{self.stderr}"
        return self


class OpenClawCli:
    """One installation of the client: `home` is its HOME and state directory, and nothing of this process leaks in."""

    def __init__(self, runtime: OpenClawRuntime, home: Path, url: str, token: str) -> None:
        self.runtime = runtime
        self.home = home
        self.url = url
        self.token = token
        home.mkdir(parents=True, exist_ok=True)
        # What `openclaw configure` writes for a remote gateway; commands without --url and --token read it.
        remote = {"gateway": {"mode": "remote", "remote": {"url": url, "token": token}}}
        (home / "openclaw.json").write_text(json.dumps(remote))

    def program(self, *args: str, env: Mapping[str, str] | None = None) -> tuple[list[str], dict[str, str]]:
        """Return argv and the whole environment of `openclaw ARGS`."""
        base = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "OPENCLAW_STATE_DIR": str(self.home),
            "OPENCLAW_CONFIG_PATH": str(self.home / "openclaw.json"),
            # A node host asks npm for updates of itself otherwise.
            "OPENCLAW_NO_AUTO_UPDATE": "1",
            **(env or {}),
        }
        return self.runtime.cli(args, base)

    async def run(self, *args: str, timeout: float = RUN_TIMEOUT) -> Finished:
        """Run `openclaw ARGS` to its end."""
        argv, full = self.program(*args, env={"NO_COLOR": "1"})
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=full,
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), timeout)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode(), time.monotonic() - started)

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Finished:
        """`openclaw gateway call METHOD` with the URL and token as flags; `timeout` (seconds) is the client's own."""
        args = ["gateway", "call", method, "--json", "--url", self.url, "--token", self.token]
        if params is not None:
            args += ["--params", json.dumps(params)]
        if timeout is not None:
            args += ["--timeout", str(int(timeout * 1000))]
        return await self.run(*args)

    async def agent(self, message: str, session: str = "agent:main:main") -> Finished:
        """`openclaw agent`: one turn, from the gateway that the client is configured for."""
        return await self.run("agent", "--session-key", session, "--message", message, "--json")
