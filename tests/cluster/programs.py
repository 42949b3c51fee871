"""Runs programs to their end, and finds them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import ClusterError, CommandFailed

# Where Debian puts what only root runs; not on every user's PATH.
SYSTEM_DIRS = ("/usr/sbin", "/sbin")
SHOWN_ERROR_CHARS = 2000


def find(name: str) -> str | None:
    """The program's path, or None; looks into the system directories too."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_DIRS]))


def need(name: str, hint: str) -> str:
    """The program's path; ClusterError with the hint if it is not there."""
    if path := find(name):
        return path
    raise ClusterError(f"the program {name} is not installed", hint)


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    hint: str = "",
) -> str:
    """Run to the end and return what was printed; CommandFailed with the last of its errors otherwise.

    `timeout` in seconds; `env` is added to this process's own.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"the program {words[0]} is not there", hint) from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{' '.join(words[:6])} was not done after {timeout:.0f} s", hint) from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-SHOWN_ERROR_CHARS:]
        raise CommandFailed(f"{' '.join(words[:6])} failed with code {done.returncode}:\n{said}", hint)
    return done.stdout
