"""Which `openclaw-tenancy up` run on this machine: each writes a file that only its user can read."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import CommandError


@dataclass(frozen=True, slots=True)
class RunningUp:
    """One running `up`."""

    pid: int
    listen: str
    admin: str
    token: str
    """Bearer token for the admin port's tenant routes; made anew at each start."""
    directory: str
    data: str


def _folder() -> Path:
    base = (
        os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    )
    return Path(base) / "openclaw-tenancy"


@contextmanager
def announced(listen: str, admin: str, directory: Path, data: Path) -> Iterator[RunningUp]:
    """Let the other commands find this `up` while it runs."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = RunningUp(os.getpid(), listen, admin, secrets.token_urlsafe(32), str(directory), str(data))
    path = folder / f"{admin.replace(':', '_').replace('/', '_')}.json"
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(mine), file)
    draft.replace(path)
    try:
        yield mine
    finally:
        path.unlink(missing_ok=True)


def running() -> list[RunningUp]:
    """Return those that still run; files of killed ones are removed."""
    found = []
    for path in sorted(_folder().glob("*.json")):
        try:
            one = RunningUp(**json.loads(path.read_text(encoding="utf-8")))
            os.kill(one.pid, 0)
        except (OSError, ValueError, TypeError):
            path.unlink(missing_ok=True)
            continue
        found.append(one)
    return found


def the_one_running(admin: str | None) -> RunningUp:
    """Return the `up` that a command is about.

    Raises
    ------
    CommandError
        None runs, or several do and none was named.
    """
    candidates = [one for one in running() if admin is None or one.admin == admin]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        at = f" with --admin {admin}" if admin else ""
        raise CommandError(f"no `openclaw-tenancy up` is running{at}; start one with: openclaw-tenancy up DIR")
    raise CommandError(
        "several `up` are running; choose one with --admin: " + ", ".join(one.admin for one in candidates)
    )
