"""The person with the client: upstream's own `openclaw` where it is installed, else our small one."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

from .client import GatewayClient
from .machine import DemoFailed

TURN_TIMEOUT = 90.0
"""Seconds for a message and its answer, wake and first turn of upstream's gateway included (25 s on two idle cores)."""


@dataclass(slots=True)
class Person:
    """Knows a URL and a token, like everybody who uses an OpenClaw gateway."""

    name: str
    url: str
    token: str
    home: Path
    runtime: OpenClawRuntime | None

    @property
    def typed(self) -> str:
        """Return the command that `say` stands for, the message left out."""
        return f"{'openclaw agent' if self.runtime else '(our small client)'} --session-key agent:main:main --message"

    async def say(self, message: str) -> tuple[str, float]:
        """Send a message; return the answer and the seconds it took.

        Raises
        ------
        DemoFailed
            There was no answer.
        """
        started = time.monotonic()
        try:
            async with asyncio.timeout(TURN_TIMEOUT):
                reply = await (self._by_cli(message) if self.runtime else self._by_ourselves(message))
        except TimeoutError:
            raise DemoFailed(f"{self.name} had no answer after {TURN_TIMEOUT:.0f} s") from None
        return reply, time.monotonic() - started

    async def _by_ourselves(self, message: str) -> str:
        async with GatewayClient(self.url, self.token, TURN_TIMEOUT) as client:
            return "".join([piece async for piece in client.chat(message)])

    async def _by_cli(self, message: str) -> str:
        assert self.runtime is not None
        self.home.mkdir(exist_ok=True)
        config = self.home / "openclaw.json"
        config.write_text(json.dumps({"gateway": {"mode": "remote", "remote": {"url": self.url, "token": self.token}}}))
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "OPENCLAW_STATE_DIR": str(self.home),
            "OPENCLAW_CONFIG_PATH": str(config),
        }
        args = ["agent", "--session-key", "agent:main:main", "--message", message, "--json"]
        argv, full = self.runtime.cli(args, env)
        process = await asyncio.create_subprocess_exec(
            *argv, env=full, cwd=self.home, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=-1
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = out.decode(errors="replace")
        if process.returncode or "{" not in text:
            raise DemoFailed(
                f"{self.name}'s client ended with {process.returncode}: {err.decode(errors='replace')[-600:]}"
            )
        answer = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
        return "\n".join(payload["text"] for payload in answer["result"]["payloads"])
