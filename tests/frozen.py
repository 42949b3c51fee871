"""A gateway that never comes up: the real one, stopped (SIGSTOP) with all its processes before it can listen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from e2e_world import World, descendants

LOOK_SECONDS = 0.1
"""Between two looks for new processes; upstream's gateway needs a hundred times that until it listens."""


@asynccontextmanager
async def frozen(world: World, name: str) -> AsyncIterator[set[int]]:
    """Freeze each gateway that is started for this tenant while the block runs; yields their process ids.

    What is frozen at the end is killed: a stopped process heeds no SIGTERM.
    """
    seen: set[int] = set()
    task = asyncio.create_task(_freeze(world, name, seen))
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for pid in seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def _freeze(world: World, name: str, seen: set[int]) -> None:
    while True:
        if pid := (await world.up.tenant(name))["pid"]:
            seen.add(pid)
            for one in [*descendants(pid), pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGSTOP)
        await asyncio.sleep(LOOK_SECONDS)
