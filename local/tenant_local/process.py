"""The fleet's end of `launch`: start a launcher, tell it what to become, see it end."""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import launch
from .child import Child
from .settings import SPAWN_TIMEOUT

_MAX_MESSAGE = 4096


class LaunchFailed(Exception):
    """A launcher did not become what it was told; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a launcher is to become."""

    run: tuple[str, ...]
    """("module", NAME, ARGUMENT...) in the launcher's own interpreter, or ("exec", PATH, ARGUMENT...)."""
    env: Mapping[str, str]
    """The whole environment; nothing is inherited."""
    cwd: Path
    confine: dict[str, Any] | None = None
    """What `launch` is to do to itself first, from `confine.policy`; None: nothing."""
    path: Sequence[str] = ()
    """Folders put before the interpreter's own in sys.path."""
    rlimits: Sequence[tuple[int, int]] = ()
    """Resource limits (resource.RLIMIT_*, value)."""
    listens: bool = False
    """Whether a listening socket is handed over as descriptor 3 (LISTEN_PID)."""


@dataclass(slots=True)
class Launcher:
    """A launcher that waits for its plan, or what it has become."""

    warden: Child
    """PID 1 of the gateway's namespaces, or its subreaper; when it has ended, all of them have."""
    _control: socket.socket
    namespaces: bool
    """Whether the warden's death takes all processes with it."""
    _failure: list[str] = field(default_factory=list)

    def become(self, plan: Plan, descriptors: Mapping[str, int]) -> None:
        """Tell it what to become and hand it these descriptors, "lock" and "log" among them; the caller closes its own.

        Raises
        ------
        LaunchFailed
            It has ended already.
        """
        told = {
            "run": list(plan.run),
            "env": dict(plan.env),
            "cwd": str(plan.cwd),
            "confine": plan.confine,
            "path": list(plan.path),
            "rlimits": [list(limit) for limit in plan.rlimits],
            "listens": plan.listens,
            "descriptors": list(descriptors),
        }
        data = marshal.dumps(told)
        try:
            self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * launch.MAX_PLAN)
            socket.send_fds(self._control, [data], list(descriptors.values()))
        except OSError as error:
            raise LaunchFailed(f"the launcher takes no plan: {error.strerror}") from error

    def failure(self) -> str | None:
        """Return why it did not become what it was told, if it said so."""
        try:
            while data := self._control.recv(_MAX_MESSAGE):
                if data.startswith(b"failed "):
                    self._failure.append(data.removeprefix(b"failed ").decode(errors="replace"))
        except OSError:
            pass
        return self._failure[0] if self._failure else None

    def terminate(self) -> None:
        """Ask the gateway to end as it sees fit (SIGTERM)."""
        self.warden.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the gateway and everything it started, now."""
        self.warden.signal(signal.SIGKILL if self.namespaces else signal.Signals(launch.SIGKILL_ALL))

    def close(self) -> None:
        """Let go of the control socket; a launcher without a plan ends by that, a gateway as by SIGTERM."""
        self._control.close()


def interpreter() -> str:
    """Return the interpreter itself, not a virtual environment's link to it: it starts 4 ms sooner without `site`."""
    return str(Path(sys.executable).resolve())


def source_folders(*packages: str) -> list[str]:
    """Return the folders from which these packages are imported, each once."""
    folders: list[str] = []
    for name in packages:
        module = sys.modules.get(name) or __import__(name)
        for location in module.__path__:
            folder = str(Path(location).resolve().parent)
            if folder not in folders:
                folders.append(folder)
    return folders


def site_folders() -> list[str]:
    """Return the folders of installed packages."""
    return list(dict.fromkeys(str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib")))


async def start(flags: str, preload: Sequence[str] = (), path: Sequence[str] = ()) -> Launcher:
    """Start a launcher and return once its warden is known.

    Parameters
    ----------
    flags
        `launch.FLAG_*`.
    preload
        Modules it imports while it waits; `path` is put before its sys.path for that.

    Raises
    ------
    LaunchFailed
        It can't be started, or namespaces were asked for and can't be had.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folders = [*source_folders("tenant_local"), *path]
    code = f"import sys; sys.path[:0] = {folders!r}; from tenant_local.launch import main; main()"
    command = [interpreter(), "-I", "-S", "-c", code, str(theirs.fileno()), flags or "-", *preload]
    try:
        process = subprocess.Popen(  # noqa: ASYNC220  # vfork and exec: 0.3 ms, and no word of it is a user's
            command, pass_fds=[theirs.fileno()], env={}, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        ours.close()
        raise LaunchFailed(f"{command[0]} can't be started: {error.strerror}") from error
    finally:
        theirs.close()
    # Popen must not wait for it: that is Child's work.
    process.returncode = 0
    first = Child(process.pid)
    try:
        ours.setblocking(False)
        async with asyncio.timeout(SPAWN_TIMEOUT):
            said = await asyncio.get_running_loop().sock_recv(ours, _MAX_MESSAGE)
        if not said.startswith(b"pid "):
            why = said.removeprefix(b"failed ").decode(errors="replace") or "it ended before it said anything"
            raise LaunchFailed(why)
        warden_pid = int(said.split()[1])
        warden = first if warden_pid == process.pid else Child(warden_pid)
    except TimeoutError:
        first.signal(signal.SIGKILL)
        ours.close()
        raise LaunchFailed(f"the launcher said nothing within {SPAWN_TIMEOUT:g} s: the machine is stuck") from None
    except BaseException:
        first.signal(signal.SIGKILL)
        ours.close()
        raise
    return Launcher(warden, ours, launch.FLAG_NAMESPACES in flags)


def close_all(descriptors: Mapping[str, int]) -> None:
    """Close the fleet's own copies of what it handed over."""
    for descriptor in descriptors.values():
        os.close(descriptor)
