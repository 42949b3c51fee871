"""The peer: HAProxy with one thread and its defaults, passing the whole exchange through to the same backend."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CONFIG = """\
global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout http-request 10s
frontend clients
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    server gateway 127.0.0.1:{backend}
"""


class NoHAProxy(Exception):
    """It is not installed and could not be."""


def find() -> str:
    """Return the program's path, installing the distribution's package when we may.

    Raises
    ------
    NoHAProxy
        See there.
    """
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if found is None and os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        print("installing the package haproxy ...", flush=True)
        subprocess.run(
            [apt, "install", "-y", "--no-install-recommends", "haproxy"], check=False, stdout=subprocess.DEVNULL
        )
        found = shutil.which("haproxy")
    if found is None:
        raise NoHAProxy("the peer of this benchmark is HAProxy: install it (Debian: apt-get install haproxy)")
    return found


def version(program: str) -> str:
    """Return its version as it tells it."""
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    return said.split()[2]


def command(program: str, folder: Path, port: int, backend: int, connections: int) -> list[str]:
    """Return the command that runs it in the foreground, its configuration written into `folder`."""
    config = folder / "haproxy.cfg"
    config.write_text(CONFIG.format(port=port, backend=backend, connections=connections))
    return [program, "-f", str(config), "-db"]
