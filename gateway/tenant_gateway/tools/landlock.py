"""Landlock: which files the calling thread, and all that it starts, can reach from now on, without capabilities.

Source: the kernel's Documentation/userspace-api/landlock.rst. Rights that the running kernel does not know are left out.

`tenant_local.confine.landlock` is its twin and stays one: that one confines a whole gateway, with its ports, from a launcher
on one machine; this one a tool inside a gateway, where `tenant_local` and `tenant_api` are not installed or not imported
(import-linter), and `openclaw_protocol`, which both may import, makes no system calls. Mend what is wrong in one in both.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""System calls, by the same numbers on every architecture (include/uapi/asm-generic/unistd.h)."""

_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION_3: Final = 0x20080522
_CREATE_RULESET_VERSION: Final = 1
_RULE_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_ALL: Final = (1 << 16) - 1
READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
WRITE: Final = _ALL & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
DEVICE: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""What a rule on a file, not a directory, may grant; the kernel refuses the rest."""

_KNOWN_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""ABI → how many file rights it knows; 5 and later know 16."""

_ABI_SCOPE: Final = 6
_SCOPES: Final = 0b11
"""Signals and abstract UNIX sockets of processes outside are out of reach."""


@cache
def _libc() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _call(number: int, *arguments: Any) -> int:
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(_libc().syscall(ctypes.c_long(number), *passed))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def abi() -> int:
    """Return the kernel's Landlock ABI; 0 when it has none, or it is switched off."""
    try:
        return _call(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict_thread(read: Iterable[str], write: Iterable[str], devices: Iterable[str]) -> None:
    """Leave the calling thread, for good, only these paths and what lies beneath them. Missing ones are passed over.

    It loses its capabilities too, and does not get them back by executing a program (`no_new_privs`).

    Raises:
        OSError: the kernel has no Landlock, or refused.
    """
    version = abi()
    if not version:
        raise OSError(errno.ENOSYS, "the kernel has no Landlock")
    known = (1 << _KNOWN_BITS.get(version, 16)) - 1
    scoped = version >= _ABI_SCOPE
    attributes = struct.pack("=QQQ", known, 0, _SCOPES) if scoped else struct.pack("=Q", known)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, rights in ((read, READ), (write, WRITE), (devices, DEVICE)):
            for path in paths:
                _allow(ruleset, path, rights & known)
        if _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        # User 0 would read the environment of any process with CAP_PERFMON, past Landlock (Linux 6.18, mm_access).
        if _libc().capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), b"\0" * 24):
            raise OSError(ctypes.get_errno(), "capabilities cannot be given up")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it is not there, or out of our own reach
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, handle))
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)
