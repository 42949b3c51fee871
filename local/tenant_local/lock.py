"""gateway.lock: at most one gateway on a volume, whatever was killed in the meantime.

The lock (flock(2)) belongs to an open file that every process of the gateway's core holds, not to the fleet: it is free
exactly when all of them are gone. The text in the file tells a later fleet whom to end: PID and start time, which
together name one process for as long as the machine runs.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that a lock file names."""

    pid: int
    started: int
    """Clock ticks from the machine's boot to its start (proc_pid_stat(5), field 22)."""
    boot: str


def boot_id() -> str:
    """Return what tells this run of the machine from any other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None: there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, even parentheses.
    return int(text[text.rindex(")") + 2 :].split()[19])


def acquire(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None while another gateway holds it. It can't be used to write."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def record(path: Path, pid: int) -> None:
    """Write who is about to hold the lock. Only its holder may call this."""
    holder = {"pid": pid, "started": start_time(pid), "boot": boot_id()}
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        text = json.dumps(holder).encode()
        os.pwrite(descriptor, text, 0)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)


def holder(path: Path) -> Holder | None:
    """Return the process that the lock file names, if that very process still runs."""
    try:
        told = json.loads(path.read_text())
        found = Holder(int(told["pid"]), int(told["started"]), str(told["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if found.boot != boot_id() or start_time(found.pid) != found.started:
        return None
    return found
