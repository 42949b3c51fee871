"""The workspace as the only place that file tools reach: every path is resolved by the kernel below one directory.

`openat2` with RESOLVE_BENEATH refuses `..`, absolute paths and symbolic links that lead out, in the same step that
opens the file, so there is no moment between check and use.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

_SYS_OPENAT2: Final = 437
"""The same number on every architecture (linux/include/uapi/asm-generic/unistd.h)."""

_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
MAX_READ: Final = 10 * 1024 * 1024


class Outside(Exception):
    """A path that leaves the workspace."""


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@cache
def _syscall() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library.syscall


class Root:
    """A directory that paths are confined to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def relative(self, path: str) -> str:
        """Return a path below the root; an absolute one must name the root itself.

        Raises:
            Outside: it does not.
        """
        if "\0" in path:
            raise Outside("a path cannot hold a NUL")
        if path.startswith("~"):
            raise Outside(f"{path} is outside the workspace")
        if path.startswith("/"):
            for root in (str(self.path), os.path.realpath(self.path)):
                if path == root or path.startswith(root + "/"):
                    path = path[len(root) :].lstrip("/")
                    break
            else:
                raise Outside(f"{path} is outside the workspace")
        return path or "."

    def open(self, path: str, flags: int, mode: int = 0o644) -> int:
        """Open a path below the root and return its descriptor.

        Raises:
            Outside: it leaves the root, by `..` or by a symbolic link.
            OSError: as `open` raises it.
        """
        relative = self.relative(path)
        root = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _openat2(root, relative, flags | os.O_CLOEXEC, mode if flags & os.O_CREAT else 0)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.ELOOP):
                raise Outside(f"{path} is outside the workspace") from None
            raise
        finally:
            os.close(root)

    def read_bytes(self, path: str, limit: int = MAX_READ) -> bytes:
        """Return the content of a regular file, at most `limit` bytes.

        Raises:
            Outside, OSError: as `open`; OSError EISDIR or EINVAL for what is no regular file.
        """
        # Without O_NONBLOCK a pipe that nobody writes to would hang the gateway.
        descriptor = self.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            require_regular(file.fileno(), path)
            return file.read(limit)

    def read_text(self, path: str, limit: int = MAX_READ) -> str:
        """Return the content as text; bytes that are no UTF-8 become replacement characters."""
        return self.read_bytes(path, limit).decode(errors="replace")

    def list_directory(self, path: str) -> list[str]:
        """Return the names in a directory, those of directories with a slash.

        Raises:
            Outside, OSError: as `open`.
        """
        descriptor = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                return [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
        finally:
            os.close(descriptor)

    def write_text(self, path: str, content: str) -> int:
        """Write a whole file of text, see `write_bytes`."""
        return self.write_bytes(path, content.encode(errors="replace"))

    def write_bytes(self, path: str, data: bytes) -> int:
        """Write a whole file, so that a reader sees the old content or the new; returns the bytes written.

        Directories on the way are made. A symbolic link that stays inside is written through.

        Raises:
            Outside, OSError: as `open`.
        """
        head, _, name = self.relative(path).rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        parent = self._make_directories(head)
        try:
            mode = _mode_of(parent, name)
            if mode is not None and stat.S_ISLNK(mode):
                with os.fdopen(self.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK), "wb") as file:
                    require_regular(file.fileno(), path)
                    file.truncate()
                    file.write(data)
                return len(data)
            if mode is not None and not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            _replace(parent, name, data, 0o644 if mode is None else stat.S_IMODE(mode))
        finally:
            os.close(parent)
        return len(data)

    def _make_directories(self, path: str) -> int:
        """Return a descriptor of a directory below the root, made with all above it when it is not there."""
        done = "."
        parent = self.open(done, os.O_RDONLY | os.O_DIRECTORY)
        for part in path.split("/"):
            if part in ("", "."):
                continue
            done = f"{done}/{part}"
            try:
                if part != "..":
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=parent)
                child = self.open(done, os.O_RDONLY | os.O_DIRECTORY)
            finally:
                os.close(parent)
            parent = child
        return parent


def _mode_of(parent: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _replace(parent: int, name: str, data: bytes, mode: int) -> None:
    # The parent's descriptor is fixed, so a rename of a directory above cannot move the write elsewhere.
    fresh = f".{name[:200]}.{os.urandom(4).hex()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(fresh, flags, mode, dir_fd=parent), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)


def require_regular(descriptor: int, path: str) -> None:
    """Raise OSError unless the descriptor is a regular file."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)


def _openat2(directory: int, path: str, flags: int, mode: int) -> int:
    how = _OpenHow(flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    while True:
        result = _syscall()(
            _SYS_OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
        )
        if result >= 0:
            return int(result)
        code = ctypes.get_errno()
        # EAGAIN: the kernel could not rule out a race with a rename; it asks for another try.
        if code not in (errno.EINTR, errno.EAGAIN):
            raise OSError(code, os.strerror(code), path)
