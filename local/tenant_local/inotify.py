"""inotify(7) on the event loop: changes in one folder, with no thread and a moment from which none is missed."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from pathlib import Path

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF, _ATTRIB = 0x100, 0x200, 0x400, 0x800, 0x4
_Q_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLYDIR = 0x1000000
_INTERESTING = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ATTRIB | _DELETE_SELF | _MOVE_SELF
_HEAD = struct.Struct("@iIII")
_BUFFER = 64 * 1024


class FolderGone(Exception):
    """The watched folder was deleted or moved away."""


class FolderWatch:
    """Sees every change in a folder from its making on. Use as a context manager.

    Raises
    ------
    OSError
        The folder does not exist, or the user has no watches left (fs.inotify.max_user_watches).
    """

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _INTERESTING | _ONLYDIR) < 0:
            number = ctypes.get_errno()
            os.close(self._descriptor)
            raise OSError(number, os.strerror(number), str(folder))
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._loop.add_reader(self._descriptor, self._ready.set)

    def __enter__(self) -> FolderWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    async def changes(self) -> set[str]:
        """Wait for changes and return the names of the files in question; "" stands for any of them.

        Raises
        ------
        FolderGone
            There is nothing to watch any more.
        """
        await self._ready.wait()
        self._ready.clear()
        names: set[str] = set()
        while True:
            try:
                data = os.read(self._descriptor, _BUFFER)
            except BlockingIOError:
                return names
            offset = 0
            while offset < len(data):
                _, mask, _, length = _HEAD.unpack_from(data, offset)
                offset += _HEAD.size
                if mask & (_DELETE_SELF | _MOVE_SELF | _IGNORED):
                    raise FolderGone
                # After an overflow nobody knows what was lost.
                names.add("" if mask & _Q_OVERFLOW else os.fsdecode(data[offset : offset + length].rstrip(b"\0")))
                offset += length
