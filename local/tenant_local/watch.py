"""Telling when the Tenant files change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

from tenant_api.load import SUFFIXES

from .settings import DEBOUNCE

log = logging.getLogger(__name__)

_RETRY = 2.0
"""Seconds until a folder that can't be watched is tried again: somebody may be replacing it."""


async def watch(directory: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` after each edit of a Tenant file, once per burst of edits. Never returns; cancel it."""
    while True:
        try:
            async for _ in awatch(
                directory,
                watch_filter=lambda _, path: Path(path).suffix.lower() in SUFFIXES,
                debounce=2000,
                step=int(DEBOUNCE * 1000),
                recursive=False,
                # Woken by an edit, not by this; it only bounds how long a cancelled watch's thread goes on.
                rust_timeout=1000,
                yield_on_timeout=False,
            ):
                await changed()
        except (FileNotFoundError, RuntimeError, OSError) as error:
            log.warning("%s can't be watched: %s", directory, error)
        await asyncio.sleep(_RETRY)
        await changed()
