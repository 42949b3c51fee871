"""Clients that others wrote, from npm: the library openclaw-node and the MCP server openclaw-mcp."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.openclaw_cli import Finished
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

FILES = Path(__file__).parent / "npm"
INSTALL_TIMEOUT = 180.0
"""Seconds for npm to fetch 32 MB; it takes 4."""
RUN_TIMEOUT = 120.0


@dataclass(frozen=True)
class NpmClients:
    """Where they are installed, and the Node that runs them."""

    node: Path
    root: Path

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """Return an environment with nothing of this process but PATH; `home` is where they keep their identity."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **more}

    @property
    def mcp(self) -> list[str]:
        """The command line of openclaw-mcp."""
        return [str(self.node), str(self.root / "node_modules" / "openclaw-mcp" / "dist" / "index.js")]

    async def chat(
        self, home: Path, url: str, token: str, message: str, session: str = "agent:main:main"
    ) -> Conversation:
        """Have an app send one message with openclaw-node and read the answer to its end."""
        argv = [str(self.node), "--no-warnings", str(self.root / "chat.mjs"), url, token, message, session]
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *argv, env=self.environment(home), stdin=-3, stdout=-1, stderr=-1
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), RUN_TIMEOUT)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        ended = Finished(process.returncode, out.decode(), err.decode(), time.monotonic() - started)
        return Conversation(ended, [json.loads(line) for line in ended.stdout.splitlines()])


@dataclass(frozen=True)
class Conversation:
    """What an app saw."""

    ended: Finished
    chunks: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return "".join(chunk["text"] for chunk in self.chunks if chunk["type"] == "text")


async def install(runtime: OpenClawRuntime, cache: Path) -> NpmClients:
    """Return the clients, installed once per machine and version of our files."""
    files = sorted(FILES.iterdir())
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    root = cache / "test-clients" / digest
    home = runtime.node.parent.parent
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=root.parent))
        try:
            for file in files:
                shutil.copyfile(file, made / file.name)
            npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")
            env = {**os.environ, "PATH": f"{runtime.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
            process = await asyncio.create_subprocess_exec(
                str(runtime.node), str(npm), "ci", *options, cwd=made, env=env, stdin=-3, stdout=-1, stderr=-2
            )
            out, _ = await asyncio.wait_for(process.communicate(), INSTALL_TIMEOUT)
            assert process.returncode == 0, out.decode()
            made.rename(root)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return NpmClients(runtime.node, root)
