"""A client that stays: its process, and the lines that it writes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from deadlines import eventually

END_TIMEOUT = 15.0
"""Seconds from SIGTERM until a client is killed; they take one."""
MAX_LINE = 4 * 1024 * 1024
"""Bytes of a line: openclaw-mcp sends its icons in one."""


class Running:
    """A running client."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        """What it wrote to stderr so far, and to stdout unless somebody else reads that."""

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    async def says(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until what it wrote matches; return the first match."""

        def probe() -> re.Match[str]:
            found = re.search(pattern, self.said)
            assert found, self.said
            return found

        return await eventually(probe, timeout, f"{pattern!r} is said")

    async def exit(self, timeout: float) -> int:
        """Wait until it ends by itself; return its exit code."""
        return await asyncio.wait_for(self.process.wait(), timeout)

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        async for line in stream:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))


@asynccontextmanager
async def running(
    argv: Sequence[str], env: Mapping[str, str], folder: Path, pipe: bool = False
) -> AsyncIterator[Running]:
    """Run a client while the block runs; with `pipe`, its stdin and stdout are the caller's."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=env,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE if pipe else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=MAX_LINE,
    )
    client = Running(process)
    streams = [process.stderr] if pipe else [process.stdout, process.stderr]
    readers = [asyncio.create_task(client.read(stream)) for stream in streams]
    try:
        yield client
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), END_TIMEOUT)
            except TimeoutError:
                process.kill()
                await process.wait()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
