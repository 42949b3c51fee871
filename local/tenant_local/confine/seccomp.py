"""A system call filter for what neither namespaces nor Landlock close (seccomp(2), BPF).

Landlock's TCP rules are asked in connect(2) and bind(2) of plain TCP sockets only. Both ways around them, tried on
Linux 6.18, are closed here: another protocol that reaches a TCP listener (MPTCP, SMC), and TCP Fast Open, where
sendto(2) connects. io_uring would reach the same places without a filtered system call.
"""

from __future__ import annotations

import ctypes
import struct

from .kernel import machine, prctl

PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EPERM, _ENOSYS, _EOPNOTSUPP, _EPROTONOSUPPORT, _EAFNOSUPPORT = 1, 38, 95, 93, 97

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""x86_64 system calls of the x32 ABI have this bit: the same calls by another number."""

_NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "socket": 41, "sendto": 44, "sendmsg": 46, "sendmmsg": 307, "clone": 56, "clone3": 435,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
        "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "syslog": 103, "acct": 163,
        "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
        "mount_setattr": 442, "name_to_handle_at": 303, "open_by_handle_at": 304, "quotactl": 179, "quotactl_fd": 443,
        "add_key": 248, "request_key": 249, "keyctl": 250, "swapon": 167, "swapoff": 168, "reboot": 169,
        "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
        "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "iopl": 172, "ioperm": 173,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    },
    "aarch64": {
        "socket": 198, "sendto": 206, "sendmsg": 211, "sendmmsg": 269, "clone": 220, "clone3": 435,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "pidfd_getfd": 438,
        "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "syslog": 116, "acct": 89,
        "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268,
        "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
        "mount_setattr": 442, "name_to_handle_at": 264, "open_by_handle_at": 265, "quotactl": 60, "quotactl_fd": 443,
        "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225, "reboot": 142,
        "init_module": 105, "finit_module": 273, "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294,
        "settimeofday": 170, "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266,
        "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    },
}  # fmt: skip

_HANDLED_APART = ("socket", "sendto", "sendmsg", "sendmmsg", "clone")
_NEW_NAMESPACE = 0x7E020000 | 0x80
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME."""
_MSG_FASTOPEN = 0x20000000
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_PROTOCOLS = (0, 1, 6, 17, 58)
"""Default, ICMP, TCP, UDP, ICMPv6."""

_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH_AT = 0, 4


def _argument(index: int) -> int:
    """Return where the low half of a system call's argument lies in struct seccomp_data (little-endian machines)."""
    return 16 + 8 * index


class _Program:
    """BPF instructions; jumps only skip forward over what is appended next."""

    def __init__(self) -> None:
        self.code = bytearray()

    def add(self, code: int, value: int, yes: int = 0, no: int = 0) -> None:
        self.code += struct.pack("=HBBI", code, yes, no, value)

    def refuse(self, error: int) -> None:
        self.add(_RET, _ERRNO | error)

    def when(self, number: int, body: _Program) -> None:
        """Run the body for this system call; it must return in all cases. The accumulator holds the number."""
        self.add(_JEQ, number, 0, len(body.code) // 8)
        self.code += body.code


def build(allow_unix: bool) -> bytes:
    """Return the filter as an array of struct sock_filter.

    Parameters
    ----------
    allow_unix
        Whether UNIX sockets may be made. Without a mount namespace they may not: Landlock hides no pathname socket
        (ABI 7), so docker's, or another tenant's, would be within reach. socketpair(2) stays.

    Raises
    ------
    OSError
        No filter is known for this kind of machine.
    """
    if machine not in _ARCH:
        raise OSError(_ENOSYS, f"no system call filter is known for {machine}")
    numbers = _NUMBERS[machine]
    program = _Program()
    program.add(_LOAD, _ARCH_AT)
    program.add(_JEQ, _ARCH[machine], 1, 0)
    program.refuse(_ENOSYS)
    program.add(_LOAD, _NR)
    program.add(_JGE, _X32, 0, 1)
    program.refuse(_ENOSYS)
    program.when(numbers["socket"], _socket(allow_unix))
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        body = _Program()
        body.add(_LOAD, _argument(flags))
        body.add(_JSET, _MSG_FASTOPEN, 0, 1)
        body.refuse(_EOPNOTSUPP)
        body.add(_RET, _ALLOW)
        program.when(numbers[name], body)
    body = _Program()
    body.add(_LOAD, _argument(0))
    body.add(_JSET, _NEW_NAMESPACE & ~0xFF, 0, 1)
    body.refuse(_EPERM)
    body.add(_RET, _ALLOW)
    program.when(numbers["clone"], body)
    for name, number in numbers.items():
        if name not in _HANDLED_APART:
            body = _Program()
            # clone3 hides its flags in memory; told that there is none, C libraries use clone.
            body.refuse(_ENOSYS if name == "clone3" or name.startswith("io_uring") else _EPERM)
            program.when(number, body)
    program.add(_RET, _ALLOW)
    return bytes(program.code)


def _socket(allow_unix: bool) -> _Program:
    body = _Program()
    body.add(_LOAD, _argument(0))
    families = (_AF_INET, _AF_INET6, _AF_NETLINK) + ((_AF_UNIX,) if allow_unix else ())
    for left, family in zip(range(len(families) - 1, -1, -1), families, strict=True):
        # A match jumps over the families left and the refusal.
        body.add(_JEQ, family, left + 1, 0)
    body.refuse(_EAFNOSUPPORT)
    body.add(_LOAD, _argument(2))
    for left, protocol in zip(range(len(_PROTOCOLS) - 1, -1, -1), _PROTOCOLS, strict=True):
        body.add(_JEQ, protocol, left + 1, 0)
    body.refuse(_EPROTONOSUPPORT)
    body.add(_RET, _ALLOW)
    return body


def install(program: bytes) -> None:
    """Filter this process and all that it starts, for good. `no_new_privs` must be set already.

    Raises
    ------
    OSError
        The kernel refused.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header))
