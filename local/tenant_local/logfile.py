"""gateway.log: its last lines, and keeping it small."""

from __future__ import annotations

import os
import re
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def tail(path: Path, limit: int, lines: int | None = None) -> str:
    """Return the last whole lines of a log within `limit` bytes, without what would steer a terminal."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            data = file.read(limit)
    except FileNotFoundError:
        return ""
    text = data.decode(errors="replace")
    if size > limit:
        text = text.partition("\n")[2] or text
    text = _CONTROL.sub("", text)
    return text if lines is None else "\n".join(text.splitlines()[-lines:])


def tail_since(path: Path, offset: int, limit: int) -> str:
    """Return like `tail` what was written after an offset: the words of the last incarnation only."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return ""
    return tail(path, min(limit, max(0, size - offset))) if size > offset else ""


def rotate(path: Path, limit: int) -> bool:
    """Move a log's content to NAME.1 when it is larger than `limit` bytes; its writer goes on undisturbed (O_APPEND)."""
    try:
        if path.stat().st_size <= limit:
            return False
    except FileNotFoundError:
        return False
    old = path.with_name(path.name + ".1")
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
        old.write_bytes(file.read(limit))
    os.truncate(path, 0)
    return True


def open_log(path: Path) -> int:
    """Return a descriptor that appends to a log."""
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
