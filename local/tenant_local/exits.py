"""Why a gateway ended, in words a person can act on."""

from __future__ import annotations

import signal

from .launch import EXIT_NOT_STARTED
from .layout import TenantPaths
from .logfile import tail_since
from .settings import LOG_TAIL
from .starting import Started

CONFIG_REFUSED = 78
"""Exit code of both runtimes that refuse their config or state (openclaw-protocol 2.5)."""
_LINES = 12
_MEANINGS = {
    CONFIG_REFUSED: "its config or state is refused (exit code 78): fix the template's config or the tenant's overlay",
    EXIT_NOT_STARTED: "it could not be started",
    126: "its program can't be executed",
    127: "its program is missing",
    128 + signal.SIGKILL: "it was killed (SIGKILL): by somebody, or because it needed more memory than its limit "
    "(spec.resources.limits.memory)",
    128
    + signal.SIGABRT: "it gave up (SIGABRT), as Node does when its heap is full: raise spec.resources.limits.memory",
    128 + signal.SIGTERM: "somebody ended it (SIGTERM)",
    128 + signal.SIGSYS: "it made a forbidden system call",
}


def meaning(status: int) -> str:
    """Return what an exit status (0-255, or -N for signal N) says about a gateway that should have gone on."""
    code = 128 - status if status < 0 else status
    if code in _MEANINGS:
        return _MEANINGS[code]
    if code > 128:
        try:
            return f"signal {signal.Signals(code - 128).name} ended it"
        except ValueError:
            pass
    return f"it ended by itself with exit code {code}"


def explain(paths: TenantPaths, started: Started, status: int, why: str | None) -> str:
    """Return why it ended, with the last lines that it printed."""
    text = why if why is not None else meaning(status)
    lines = tail_since(paths.log, started.log_offset, LOG_TAIL).splitlines()[-_LINES:]
    if not lines:
        return text
    return f"{text}\nIts last words (`openclaw-tenancy logs`):\n" + "\n".join(f"  {line}" for line in lines)
