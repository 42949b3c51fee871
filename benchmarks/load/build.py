"""Compiles the two C programs at first use, into a cache folder named by their source."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent
COMMON = ("frames.c", "outbox.c", "sha1.c")
PROGRAMS = {
    "backend": ("backend.c", "gateway.c"),
    "client": ("client.c", "dial.c", "many.c", "measure.c", "one.c"),
}


class BuildFailed(Exception):
    """There is no compiler, or it refuses the source."""


def build() -> Path:
    """Return the folder of the built programs.

    Raises
    ------
    BuildFailed
        See there.
    """
    digest = hashlib.sha256()
    for file in sorted((*SOURCE.glob("*.c"), *SOURCE.glob("*.h"))):
        digest.update(file.name.encode() + file.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "openclaw-tenancy" / "benchmarks" / digest.hexdigest()[:16]
    if all((folder / program).exists() for program in PROGRAMS):
        return folder
    compiler = shutil.which("gcc")
    if compiler is None:
        raise BuildFailed("the load generator is C: gcc is needed (Debian: apt-get install gcc libc6-dev)")
    folder.mkdir(parents=True, exist_ok=True)
    for program, files in PROGRAMS.items():
        unfinished = folder / f".{program}.{os.getpid()}"
        command = [compiler, "-O3", "-Wall", "-Wextra", "-o", str(unfinished)]
        built = subprocess.run(
            [*command, *(str(SOURCE / file) for file in (*files, *COMMON))], check=False, capture_output=True, text=True
        )
        if built.returncode:
            raise BuildFailed(built.stderr)
        unfinished.rename(folder / program)  # whole or not at all, also with two builds at once
    return folder
