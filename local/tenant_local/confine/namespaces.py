"""Mount, PID, IPC (and, for who is not root, user) namespaces: what is not in the view does not exist.

Sources: namespaces(7), pivot_root(2), mount_setattr(2), and bubblewrap, which does the same in a process of its own.
"""

from __future__ import annotations

import os
import struct

from .kernel import call

CLONE_PARENT = 0x8000
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x8000000, 0x10000000, 0x20000000
_SIGCHLD = 17

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4

DEVICES = ("null", "zero", "full", "random", "urandom")


def clone(new_user: bool) -> int:
    """Fork a sibling (the parent is this process's own parent) that is PID 1 of new namespaces; return as fork(2) does.

    Raises
    ------
    OSError
        Namespaces can't be had: not allowed, or the kernel has none.
    """
    flags = CLONE_PARENT | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | _SIGCHLD
    user, group = os.getuid(), os.getgid()
    pid = call("clone", flags | CLONE_NEWUSER if new_user else flags, None, None, None, None)
    if pid == 0 and new_user:
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    return pid


def enter_view(
    stage: str, read: list[str], write: list[str], links: list[tuple[str, str]], temporary: str | None
) -> None:
    """Make a root of its own for this mount namespace, out of these files and folders, each at its own path.

    Parameters
    ----------
    stage
        An empty folder to build on; nothing that is shown may lie beneath.
    read, write
        Files and folders shown read-only and writable; what does not exist is passed over.
    links
        Symbolic links (path, target), such as /bin -> usr/bin.
    temporary
        The folder shown, writable, as /tmp; None: a small one in memory, for when something shown lies beneath /tmp.

    Raises
    ------
    OSError
        The kernel refused.
    """
    _mount(None, "/", None, MS_REC | MS_SLAVE)
    _mount("tmpfs", stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    for folder in ("proc", "dev", "tmp"):
        os.mkdir(f"{stage}/{folder}")
    if temporary is None:
        _mount("tmpfs", f"{stage}/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")
    shown = [path for path in read if _make_target(stage, path)]
    writable = [path for path in write if _make_target(stage, path)]
    for path, target in links:
        os.makedirs(os.path.dirname(stage + path), exist_ok=True)
        os.symlink(target, stage + path)
    for path in shown:
        _mount(path, stage + path, None, MS_BIND | MS_REC)
    _make_devices(f"{stage}/dev")
    _set_attributes(stage, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV)
    for path in writable:
        _bind_writable(path, stage + path)
    if temporary is None:
        _set_attributes(f"{stage}/tmp", clear=ATTR_RDONLY)
    else:
        _bind_writable(temporary, f"{stage}/tmp")
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            _mount(f"/dev/{name}", f"{stage}/dev/{name}", None, MS_BIND)
    _mount("devpts", f"{stage}/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    _mount("tmpfs", f"{stage}/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")
    # Read-only: as user 0 even a process without capabilities could write most of /proc/sys.
    _mount("proc", f"{stage}/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(stage)
    # Stacks the old root under the new one at the same place, then drops it (pivot_root(2), last notes).
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def _make_devices(dev: str) -> None:
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
    for folder in ("pts", "shm"):
        os.mkdir(f"{dev}/{folder}")
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        os.symlink(target, f"{dev}/{name}")


def _make_target(stage: str, path: str) -> bool:
    """Make the mount point for a path, if the path exists and an enclosing one does not bring it along."""
    target = stage + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
        return True
    if os.path.exists(path):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
        return True
    return False


def _bind_writable(path: str, target: str) -> None:
    _mount(path, target, None, MS_BIND | MS_REC)
    _set_attributes(target, ATTR_NOSUID | ATTR_NODEV)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    try:
        call("mount", encoded[0], encoded[1], encoded[2], flags, encoded[3])
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: mount of {source or kind} ", target) from None


def _set_attributes(path: str, attributes: int = 0, clear: int = 0) -> None:
    """Set attributes on a mount and all mounts beneath it; clear some on the one alone."""
    record = struct.pack("=QQQQ", attributes, clear, 0, 0)
    call("mount_setattr", AT_FDCWD, os.fsencode(path), 0 if clear else AT_RECURSIVE, record, len(record))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
