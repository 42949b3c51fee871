"""System calls that Python 3.11 has no function for.

Called with the GIL held (`PyDLL`): each returns at once, and `clone` must not be overtaken by another thread's work.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

_GENERIC = {
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {"clone": 56, "capset": 126, "prctl": 157, "pivot_root": 155, "mount": 165, "umount2": 166, **_GENERIC},
    "aarch64": {"clone": 220, "capset": 91, "prctl": 167, "pivot_root": 41, "mount": 40, "umount2": 39, **_GENERIC},
}

machine = os.uname().machine
numbers: dict[str, int] | None = _NUMBERS.get(machine)
"""System call numbers of this machine; None: a machine that nobody has looked at, so nothing can be confined."""

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Make a system call.

    Raises
    ------
    OSError
        It failed; names the call.
    """
    if numbers is None:
        raise OSError(38, f"system calls of {machine} are not known here", name)
    # Integers go as long: ctypes would cut them to 32 bits.
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _syscall(ctypes.c_long(numbers[name]), *passed)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return result


def prctl(option: int, *arguments: int) -> None:
    """Change something about this process (prctl(2))."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    call("prctl", option, *padded)
