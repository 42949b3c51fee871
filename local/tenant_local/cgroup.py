"""Memory and process limits by control group, where this process may make them; version 1 and 2."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_PARENT = "openclaw-tenancy"


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The control groups of this machine that can be written."""

    memory: Path | None
    pids: Path | None
    version: int

    @property
    def available(self) -> bool:
        """Whether there are any."""
        return self.memory is not None or self.pids is not None

    def make(self, tenant: str, memory: int | None, pids: int | None) -> list[int]:
        """Make a tenant's groups with these limits and return descriptors to write a PID to; the caller closes them."""
        descriptors: list[int] = []
        wanted: dict[Path, dict[str, int]] = {}
        if memory is not None and self.memory is not None:
            name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
            wanted.setdefault(self.memory / tenant, {})[name] = memory
        if pids is not None and self.pids is not None:
            wanted.setdefault(self.pids / tenant, {})["pids.max"] = pids
        for folder, limits in wanted.items():
            try:
                folder.mkdir(exist_ok=True)
                for name, value in limits.items():
                    (folder / name).write_text(str(value))
                descriptors.append(os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
            except OSError:
                # A limit that the OS refuses is one that it does not offer.
                continue
        return descriptors

    def sweep(self, prefix: str) -> None:
        """Remove the groups whose names begin so and that hold no process any more: what a killed fleet left."""
        for parent in {self.memory, self.pids} - {None}:
            assert parent is not None
            for folder in parent.glob(f"{prefix}*"):
                self.remove(folder.name)

    def remove(self, tenant: str) -> None:
        """Remove a tenant's groups; their processes have ended."""
        for parent in {self.memory, self.pids} - {None}:
            assert parent is not None
            try:
                (parent / tenant).rmdir()
            except OSError:
                continue


def find() -> Cgroups:
    """Return where groups can be made: below this process's own, or nowhere."""
    own = _own_groups()
    if (_MOUNT / "cgroup.controllers").exists():
        return _unified(_MOUNT / own.get("", "/").lstrip("/"))
    memory = _usable(_MOUNT / "memory" / own.get("memory", "/").lstrip("/"))
    pids = _usable(_MOUNT / "pids" / own.get("pids", "/").lstrip("/"))
    return Cgroups(memory, pids, 1)


def _unified(own: Path) -> Cgroups:
    # A group with processes can't hand out controllers (cgroup v2's rule), so ours must be siblings of our own.
    for base in (own, own.parent):
        try:
            controllers = (base / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        found = [name for name in ("memory", "pids") if name in controllers]
        if found and (parent := _usable(base)) is not None:
            try:
                (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in found))
            except OSError:
                continue
            return Cgroups(parent if "memory" in found else None, parent if "pids" in found else None, 2)
    return Cgroups(None, None, 2)


def _usable(base: Path) -> Path | None:
    parent = base / _PARENT
    try:
        parent.mkdir(exist_ok=True)
    except OSError:
        return None
    return parent if os.access(parent, os.W_OK) else None


def _own_groups() -> dict[str, str]:
    groups: dict[str, str] = {}
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return groups
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            groups[name] = path
    return groups
