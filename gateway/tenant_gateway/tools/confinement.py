"""Where commands of the agent can reach: the workspace, programs and libraries, not the gateway's own files.

Landlock binds a thread and all that it starts. So commands are started from a thread that has given up the rest, and
nothing has to run between fork and exec. `agents.defaults.sandbox.mode: "off"` switches it off (upstream's key).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from tenant_gateway.config.document import Config
from tenant_gateway.settings import Settings

_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/proc", "/sys")
"""Another process's environment in /proc stays shut: it is for those who may trace it, which ends at a Landlock domain."""

_ETC: Final = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "passwd", "group", "hosts"),
    *("host.conf", "gai.conf", "resolv.conf", "protocols", "services", "localtime", "timezone", "os-release"),
    *("ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "ca-certificates", "pki/tls/certs", "pki/ca-trust/extracted"),
    *("gitconfig", "mime.types", "magic", "terminfo", "profile", "profile.d", "bash.bashrc", "inputrc"),
)
"""Not all of /etc: as user 0 a command could read the machine's secrets there."""

_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_TIMEOUT: Final = 30.0
"""Seconds for a start; one takes two milliseconds."""

_log: Final = logging.getLogger("tenant_gateway")


class View(msgspec.Struct, frozen=True):
    """The paths that a command reaches."""

    read: tuple[str, ...]
    write: tuple[str, ...]


def view_of(config: Config, settings: Settings) -> View | None:
    """Return what commands reach; None when the configuration leaves them what the gateway itself reaches.

    A folder in which the gateway's own files lie somewhere is left out, /tmp too.
    """
    if config.get("agents.defaults.sandbox.mode") == "off":
        return None
    environ = settings.environ
    programs = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder.startswith("/")]
    read = [*_SYSTEM, *(f"/etc/{name}" for name in _ETC), sys.base_prefix, *programs]
    write = [*filter(None, [environ.get("TMPDIR")]), "/tmp", "/dev/shm"]  # noqa: S108
    if (home := environ.get("HOME")) and _is_tenants(Path(home), settings.state_dir):
        write.append(home)
    own = (settings.state_dir, settings.config_path)
    apart = [
        [path for path in paths if not any(Path(path) in (it, *it.parents) for it in own)] for paths in (read, write)
    ]
    return View(tuple(apart[0]), (str(settings.workspace(config)), *apart[1]))


def _is_tenants(home: Path, state: Path) -> bool:
    """Whether a home was made for this tenant: in its state directory or beside it, and not around it."""
    return state in home.parents or (home != state and home.parent == state.parent != Path("/"))


class Spawner:
    """Starts processes with a view of the files; None: with the gateway's own."""

    def __init__(self, view: View | None) -> None:
        self.view = view
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commands")
        if view is not None:
            from tenant_gateway.tools.landlock import restrict_thread

            restrict = partial(restrict_thread, view.read, view.write, _DEVICES)
            try:
                self._thread.submit(restrict).result(_TIMEOUT)
            except OSError as error:
                _log.warning("commands are confined as the gateway is, and not further: %s", error.strerror)

    def start(self, line: str, directory: int, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Run a shell command in the directory of a descriptor, with pipes, as the leader of a session of its own.

        Raises:
            OSError: there is no shell, or no room for a process.
        """

        def run() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                ["/bin/sh", "-c", line],
                cwd=f"/proc/self/fd/{directory}",
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        # For as long as the fork takes: asyncio's own subprocesses are started while the loop waits, too.
        return self._thread.submit(run).result(_TIMEOUT)

    def close(self) -> None:
        """End the thread; what it has started goes on."""
        self._thread.shutdown(wait=False)
