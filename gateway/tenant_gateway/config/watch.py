"""Sees an edit of the configuration file.

A `stat` a second instead of inotify: 10 us that also see a file replaced by rename, on every file system, where ctypes
for inotify alone would cost 1 MiB.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

_INTERVAL: Final = 1.0
"""Seconds between two looks; upstream notices an edit after 1-2 s."""

Stamp = tuple[int, int, int] | None


def stamp(path: Path) -> Stamp:
    """Return what changes when the file does: inode, size, time of modification; None while there is no file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - Path.stat would make a Path per second for nothing
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


async def watch(path: Path, seen: Stamp, changed: Callable[[], None]) -> None:
    """Call `changed` after each edit, once the file has been the same for one look (half a write is not read)."""
    pending: Stamp = seen
    while True:
        await asyncio.sleep(_INTERVAL)
        now = stamp(path)
        if now is None or now == seen:
            pending = now
            continue
        if now != pending:
            pending = now
            await asyncio.sleep(_INTERVAL / 10)
            now = stamp(path)
            if now != pending:
                continue
        seen = now
        changed()
