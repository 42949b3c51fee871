"""Landlock: files, TCP ports, signals and abstract UNIX sockets, for the calling process and all that it starts.

Source: the kernel's Documentation/userspace-api/landlock.rst. Rights that the running kernel does not know are left
out of the ruleset; `confine.probe` decides whether what remains is enough.

`tenant_gateway.tools.landlock` is its twin and stays one, for the reason given there. Mend what is wrong in one in both.
"""

from __future__ import annotations

import ctypes
import os
import struct

from .kernel import call

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1 << 0, 1 << 1

READ = EXECUTE | READ_FILE | READ_DIR
WRITE = (
    READ
    | WRITE_FILE
    | REMOVE_DIR
    | REMOVE_FILE
    | MAKE_DIR
    | MAKE_REG
    | MAKE_SOCK
    | MAKE_FIFO
    | MAKE_SYM
    | REFER
    | TRUNCATE
)
DEVICE = READ_FILE | WRITE_FILE | READ_DIR | TRUNCATE | IOCTL_DEV
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""What a rule on a file, not a folder, may grant; the kernel refuses the rest."""

RULE_PATH_BENEATH, RULE_NET_PORT = 1, 2
CREATE_RULESET_VERSION = 1
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
"""ABI -> how many file rights it knows; 5 and later know 16."""


def abi() -> int:
    """Return the kernel's Landlock ABI; 0: it has none, or it is switched off."""
    try:
        return call("landlock_create_ruleset", None, 0, CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict(
    read: list[str], write: list[str], devices: list[str], bind: list[int] | None, connect: list[int] | None
) -> None:
    """Allow these paths and TCP ports, and nothing else, from now on. `no_new_privs` must be set already.

    Parameters
    ----------
    read, write, devices
        Files and folders (with all beneath) to read and execute, to write too, to use as devices.
        What does not exist is passed over.
    bind, connect
        TCP ports; None: leave that unrestricted.

    Raises
    ------
    OSError
        The kernel refused.
    """
    version = abi()
    known = (1 << _FS_BITS.get(version, 16)) - 1
    net = 0
    if version >= 4:
        net = (BIND_TCP if bind is not None else 0) | (CONNECT_TCP if connect is not None else 0)
    scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL if version >= 6 else 0
    attributes = struct.pack("=QQQ", known, net, scoped)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for paths, rights in ((read, READ), (write, WRITE), (devices, DEVICE)):
            for path in paths:
                _allow_path(ruleset, path, rights & known)
        for ports, right in ((bind, BIND_TCP), (connect, CONNECT_TCP)):
            for port in ports or ():
                if net & right:
                    call("landlock_add_rule", ruleset, RULE_NET_PORT, struct.pack("=QQ", right, port), 0)
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if os.fstat(handle).st_mode & 0o170000 != 0o040000:
            rights &= _FILE_RIGHTS
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, handle))
        call("landlock_add_rule", ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(handle)
