"""A stand-in for the public base image `python:3.13-slim`, made from Debian's packages."""

from __future__ import annotations

from pathlib import Path

from ..debian import mirror
from ..layout import Layout
from ..programs import need, run
from ..progress import Progress
from .oci import Image, write

NAME = "localhost/python:3.13-slim"
# The suite whose Python is 3.13.
SUITE = "trixie"
INCLUDED = ("python3", "python3-pip", "python3-venv", "ca-certificates")
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
BUILD_SECONDS = 600.0
# As in the public image: `python` and `pip` by their short names, and pip may install into the system.
CUSTOMIZE = (
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED "$1"/etc/resolv.conf "$1"/etc/hostname',
    'ln -sf /usr/bin/python3 "$1"/usr/local/bin/python',
    'ln -sf /usr/bin/pip3 "$1"/usr/local/bin/pip',
)


def command(tar: Path) -> list[str]:
    hint = "install Debian's package mmdebstrap"
    return [
        need("mmdebstrap", hint),
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(INCLUDED)}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        *(f"--customize-hook={line}" for line in CUSTOMIZE),
        SUITE,
        str(tar),
        mirror(),
    ]


def ensure(layout: Layout, progress: Progress) -> Path:
    """The base image as an OCI archive, made once."""
    archive = layout.images / "base.oci.tar"
    if archive.exists():
        return archive
    layout.images.mkdir(parents=True, exist_ok=True)
    tar = layout.images / "base.tar"
    with progress.step(f"base image from Debian {SUITE} (about 30 s)", announce=True):
        run(command(tar), timeout=BUILD_SECONDS, hint="a reachable Debian mirror is needed once")
        write(Image(NAME, [tar], cmd=["python3"]), archive)
    tar.unlink()
    return archive
