"""Telling when the Tenant files change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from tenant_api.load import SUFFIXES

from .inotify import FolderGone, FolderWatch
from .settings import DEBOUNCE

log = logging.getLogger(__name__)

_RETRY = 2.0
"""Seconds until a folder that can't be watched is looked at again: somebody may be replacing it."""
_LONGEST = 10 * DEBOUNCE
"""Seconds after which files are read although they keep changing."""


async def watch(directory: Path, changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` once at the start, then after each burst of edits of Tenant files. Never returns; cancel it."""
    while True:
        try:
            with FolderWatch(directory) as folder:
                # What was edited before the watch began.
                await changed()
                while True:
                    await _burst(folder)
                    await changed()
        except FolderGone:
            log.warning("%s is gone", directory)
        except OSError as error:
            log.warning("%s can't be watched: %s", directory, error.strerror)
        await changed()
        await asyncio.sleep(_RETRY)


async def _burst(folder: FolderWatch) -> None:
    """Return when Tenant files have changed and then been left alone for a moment."""
    while not _relevant(await folder.changes()):
        pass
    loop = asyncio.get_running_loop()
    last = loop.time() + _LONGEST
    while (left := last - loop.time()) > 0:
        try:
            async with asyncio.timeout(min(DEBOUNCE, left)):
                await folder.changes()
        except TimeoutError:
            return


def _relevant(names: set[str]) -> bool:
    return any(not name or Path(name).suffix.lower() in SUFFIXES for name in names)
