"""What of confinement this machine offers, found out by doing it once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import launch
from ..lock import acquire
from ..logfile import open_log, tail
from ..process import LaunchFailed, Plan, close_all, start
from . import kernel, landlock, policy, seccomp

_TIMEOUT = 5.0
"""Seconds for /bin/true; 30 ms when all is well."""
ABI_NET = 4
"""First Landlock ABI with TCP ports (Linux 6.7)."""
ABI_SCOPE = 6
"""First Landlock ABI that keeps signals and abstract UNIX sockets apart (Linux 6.12)."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """How gateways are kept apart on this machine."""

    namespaces: bool
    """Mount, PID and IPC namespaces."""
    new_user: bool
    """The namespaces belong to a user namespace, because the fleet is not root."""
    abi: int
    """Landlock's ABI; 0: none."""
    seccomp: bool
    why_not: str = ""
    """What is missing, and why; empty: nothing."""

    @property
    def isolates(self) -> bool:
        """Whether tenants are kept apart well enough to serve several."""
        return self.seccomp and self.abi >= ABI_NET and (self.namespaces or self.abi >= ABI_SCOPE)

    @property
    def unix_sockets(self) -> bool:
        """Whether gateways may have UNIX sockets: only where nobody else's can be reached."""
        return self.namespaces and self.abi >= ABI_SCOPE

    @property
    def flags(self) -> str:
        """Flags for `launch`."""
        if not self.namespaces:
            return ""
        return launch.FLAG_NAMESPACES + (launch.FLAG_NEW_USER if self.new_user else "")

    def describe(self) -> str:
        """Return one line for people."""
        if not self.isolates:
            return f"none: {self.why_not}"
        parts = ["namespaces" + (" (user)" if self.new_user else "")] if self.namespaces else []
        text = " + ".join([*parts, f"Landlock ABI {self.abi}", "seccomp"])
        return f"{text} ({self.why_not})" if self.why_not else text


NONE = Confinement(namespaces=False, new_user=False, abi=0, seccomp=False, why_not="switched off")


async def probe(stage: Path) -> Confinement:
    """Return the best confinement that works here.

    Parameters
    ----------
    stage
        An empty folder on which to build a gateway's root.
    """
    if kernel.numbers is None:
        return Confinement(False, False, 0, False, f"nobody has looked at system calls of {kernel.machine}")
    abi = landlock.abi()
    if abi < ABI_NET:
        have = f"Landlock ABI {abi}" if abi else "no Landlock"
        return Confinement(
            False,
            False,
            abi,
            False,
            f"this kernel has {have}; ABI {ABI_NET} is needed (Linux 6.7, with lsm=landlock,...)",
        )
    problems: list[str] = []
    variants = [(True, False), (True, True)] if os.geteuid() == 0 else [(True, True)]
    for namespaces, new_user in (*variants, (False, False)):
        tried = Confinement(namespaces, new_user, abi, True, "; ".join(problems))
        if not tried.isolates:
            problems.append(f"without namespaces, Landlock ABI {ABI_SCOPE} is needed (Linux 6.12); this is ABI {abi}")
            break
        problem = await _try(tried, stage)
        if problem is None:
            return tried
        what = ("user namespaces" if new_user else "namespaces") if namespaces else "Landlock"
        problems.append(f"{what}: {problem}")
    return Confinement(False, False, abi, False, "; ".join(problems))


async def _try(confinement: Confinement, stage: Path) -> str | None:
    with TemporaryDirectory(prefix="openclaw-tenancy-probe-") as name:
        folder = Path(name)
        for child in ("work", "tmp"):
            (folder / child).mkdir()
        view = policy.View(read=policy.system_paths(), write=(folder / "work",), tmp=folder / "tmp", stage=stage)
        confine = policy.confine(
            view,
            namespaces=confinement.namespaces,
            bind=(),
            connect=(),
            program=seccomp.build(confinement.unix_sockets),
        )
        plan = Plan(
            run=("exec", "/bin/sh", "-c", ": > made && ! ( : < /etc/shadow ) 2> /dev/null"),
            env={},
            cwd=folder / "work",
            confine=confine,
        )
        try:
            launcher = await start(confinement.flags)
        except LaunchFailed as error:
            return str(error)
        lock = acquire(folder / "lock")
        assert lock is not None, "a new file in a new folder is nobody's"
        descriptors = {"lock": lock, "log": open_log(folder / "log")}
        try:
            launcher.become(plan, descriptors)
        except LaunchFailed as error:
            return str(error)
        finally:
            close_all(descriptors)
        status = await launcher.warden.wait(_TIMEOUT)
        if status is None:
            launcher.kill()
            await launcher.warden.wait(_TIMEOUT)
        failure = launcher.failure()
        launcher.close()
        if status == 0 and (folder / "work" / "made").exists():
            return None
        return failure or tail(folder / "log", 300).strip() or f"a confined /bin/sh ended with {status}"
