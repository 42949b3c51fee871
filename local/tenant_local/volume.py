"""A tenant's volume, made from the template's folder: reflinks where the file system has them, else copies.

Made under another name, on disk, then renamed: a crash leaves no half volume behind, and what it does leave is removed
by the next try. Symbolic links stay links and are never followed, so a template can't be made to copy a file from
outside of it. Sockets, FIFOs and devices are refused: none of them means anything in another place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from .layout import sync_folder

FICLONE = 0x40049409
"""ioctl(2) that makes a file share another one's blocks (ioctl_ficlone(2))."""
_NO_REFLINK = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM}
_PARTIAL = ".volume-"


class VolumeError(Exception):
    """A volume can't be made; the text names the file and says why."""


@dataclass(slots=True)
class Made:
    """What making a volume took."""

    files: int = 0
    bytes: int = 0
    reflinked: int = 0


def make_volume(source: Path | None, target: Path) -> Made:
    """Make the folder `target` as a copy of `source` (None: empty). Blocks; call it in a thread.

    Raises
    ------
    VolumeError
        The source does not exist, can't be read, or holds something that can't be copied; or the disk is full.
    """
    for left in target.parent.glob(f"{_PARTIAL}*"):
        shutil.rmtree(left)
    partial = target.parent / f"{_PARTIAL}{os.getpid()}"
    made = Made()
    try:
        if source is None:
            partial.mkdir(mode=0o700)
        elif not source.is_dir():
            raise VolumeError(
                f"the template's folder {source} (spec.volume.source.path) does not exist or is no folder"
            )
        else:
            _copy_folder(source, partial, made)
            partial.chmod(0o700)
        _sync(partial)
        partial.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise VolumeError(f"the volume can't be made: {error.filename or target}: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made


def _copy_folder(source: Path, target: Path, made: Made) -> None:
    target.mkdir(mode=0o700)
    with os.scandir(source) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            copy = target / entry.name
            if stat.S_ISLNK(status.st_mode):
                copy.symlink_to(Path(entry.path).readlink())
            elif stat.S_ISDIR(status.st_mode):
                _copy_folder(Path(entry.path), copy, made)
                copy.chmod(stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID))
            elif stat.S_ISREG(status.st_mode):
                _copy_file(Path(entry.path), copy, made)
            else:
                raise VolumeError(
                    f"{entry.path} is no file, folder or symbolic link: remove it from the template's folder"
                )


def _copy_file(source: Path, target: Path, made: Made) -> None:
    # O_NOFOLLOW: whoever can write the template's folder may have put a link there since it was looked at.
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(reading)
        if not stat.S_ISREG(status.st_mode):
            raise VolumeError(f"{source} was replaced while it was copied")
        mode = stat.S_IMODE(status.st_mode) & ~(stat.S_ISUID | stat.S_ISGID)
        writing = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            if _reflink(reading, writing):
                made.reflinked += 1
            else:
                _copy_bytes(reading, writing)
            os.fchmod(writing, mode)
            os.utime(writing, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(writing)
        made.files += 1
        made.bytes += status.st_size
    finally:
        os.close(reading)


def _reflink(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, FICLONE, reading)
    except OSError as error:
        if error.errno in _NO_REFLINK:
            return False
        raise
    return True


def _copy_bytes(reading: int, writing: int) -> None:
    while True:
        try:
            if os.copy_file_range(reading, writing, 1 << 26) == 0:
                return
        except OSError as error:
            if error.errno not in _NO_REFLINK:
                raise
            break
    while chunk := os.read(reading, 1 << 20):
        view = memoryview(chunk)
        while view:
            view = view[os.write(writing, view) :]


def _sync(folder: Path) -> None:
    """Have a whole folder on disk with one call; fsync of each file costs seconds for a large template."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _syncfs(descriptor)
    finally:
        os.close(descriptor)


def _syncfs(descriptor: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
