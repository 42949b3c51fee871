"""Give up what a process of root, or of a new user namespace, could do beyond its own files."""

from __future__ import annotations

import struct

from .kernel import PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, call, prctl

_CAPABILITY_VERSION_3 = 0x20080522
_EINVAL, _EPERM = 22, 1


def drop_capabilities() -> None:
    """Empty all capability sets, the bounding set among them, so that no exec brings one back.

    Raises
    ------
    OSError
        The kernel refused.
    """
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno in (_EINVAL, _EPERM):  # beyond the last one, or nothing to give up
                break
            raise
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    call("capset", struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), b"\0" * 24)


def no_new_privileges() -> None:
    """Make set-user-id programs and file capabilities without effect."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
