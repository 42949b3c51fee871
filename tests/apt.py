"""Debian packages that tests need: installed when they are missing and we may."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable

INSTALL_TIMEOUT = 240.0
"""Seconds for one apt-get: the largest is Chromium, 90 MB and their unpacking."""


class NotInstalled(Exception):
    """A program is missing and can't be installed; the text says what to do."""


async def install(package: str, progress: Callable[[str], None] = lambda line: None) -> None:
    """Install a package.

    Raises
    ------
    NotInstalled
        We are not root on a Debian, or apt-get failed.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotInstalled(f"{package} is missing; on Debian: apt-get install {package}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("update", f"install --yes --no-install-recommends {package}"):
        progress(f"{package}: apt-get {step}")
        process = await asyncio.create_subprocess_exec(
            "apt-get", "--quiet", *step.split(), stdin=-3, stdout=-1, stderr=-2, env=env
        )
        out, _ = await asyncio.wait_for(process.communicate(), INSTALL_TIMEOUT)
        if process.returncode:
            raise NotInstalled(f"apt-get {step} failed; install {package} yourself:\n{out.decode()[-1000:]}")
