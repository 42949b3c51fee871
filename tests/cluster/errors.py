"""What can go wrong, said so that a person knows what to do next."""

from __future__ import annotations

from pathlib import Path

LOG_TAIL_LINES = 12


class ClusterError(Exception):
    """Something needed for the cluster failed; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.args[0]}\n  -> {self.hint}" if self.hint else str(self.args[0])


class CommandFailed(ClusterError):
    """A program ended with an error; its last lines are in the message."""


class NotReady(ClusterError):
    """A program was started and did not become ready, or ended, within its time."""


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, indented; a short word when there is none."""
    try:
        text = log.read_text(errors="replace").rstrip()
    except FileNotFoundError:
        return "  (no log)"
    return "\n".join(f"  | {line[:300]}" for line in text.splitlines()[-lines:]) or "  (the log is empty)"
