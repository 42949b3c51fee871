"""Programs that run on after us: started, found again and stopped by process id and start time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import NotReady, log_tail

POLL_SECONDS = 0.02
# kube-apiserver ends its watches first; what takes longer than this waits for something that is gone.
STOP_SECONDS = 5.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A process of ours. `started` (clock ticks since boot) tells it from a later one with the same id."""

    name: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        return _started(self.pid) == self.started

    @property
    def resident_bytes(self) -> int:
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES
        except (FileNotFoundError, ProcessLookupError):
            return 0


def _started(pid: int) -> int | None:
    """When a process began, or None if it is gone or a zombie (proc(5), stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


class ProcessTable:
    """What runs for one cluster, kept in a file so that a later command finds it."""

    def __init__(self, path: Path, logs: Path) -> None:
        self._path = path
        self._logs = logs
        self._children: list[subprocess.Popen[bytes]] = []

    def log_of(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def all(self) -> list[Process]:
        """In the order of their starts; also those that have died meanwhile."""
        try:
            return [Process(**entry) for entry in json.loads(self._path.read_text())]
        except FileNotFoundError:
            return []

    def find(self, name: str) -> Process | None:
        """The process of this name that is alive."""
        return next((process for process in self.all() if process.name == name and process.alive), None)

    def start(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Process:
        """Start in a session of its own, unless it runs already; output is appended to its log."""
        if running := self.find(name):
            return running
        with self.log_of(name).open("ab") as log:
            child = subprocess.Popen(
                [str(word) for word in argv],
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        # A child that has ended at once has no start time left; 0 never equals one, so it counts as dead.
        process = Process(name, child.pid, _started(child.pid) or 0)
        self._save([*(other for other in self.all() if other.name != name), process])
        return process

    def wait_ready(self, name: str, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready`; NotReady as soon as the process is dead, or when `timeout` seconds are over."""
        deadline = time.monotonic() + timeout
        while not ready():
            alive = self.find(name) is not None
            if alive and time.monotonic() < deadline:
                threading.Event().wait(POLL_SECONDS)
                continue
            what = f"{name} was not ready after {timeout:.0f} s" if alive else f"{name} has ended"
            log = self.log_of(name)
            raise NotReady(f"{what}; the end of its log:\n{log_tail(log)}", f"the whole log: {log}")

    def stop(self, names: Iterable[str] | None = None, grace: float = STOP_SECONDS) -> list[str]:
        """Stop these (or all), newest first: SIGTERM to each, SIGKILL to what is left after `grace` seconds."""
        chosen = [process for process in reversed(self.all()) if names is None or process.name in set(names)]
        alive = [process for process in chosen if process.alive]
        for process in alive:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(process.alive for process in alive) and time.monotonic() < deadline:
            threading.Event().wait(POLL_SECONDS)
        for process in alive:
            _signal(process, signal.SIGKILL)
        for child in self._children:
            child.poll()
        self._save([process for process in self.all() if process not in chosen])
        return [process.name for process in alive]

    def _save(self, processes: list[Process]) -> None:
        if not processes:
            self._path.unlink(missing_ok=True)
            return
        whole = self._path.with_suffix(".new")
        whole.write_text(json.dumps([asdict(process) for process in processes], indent=1))
        whole.replace(self._path)


def _signal(process: Process, number: signal.Signals) -> None:
    if not process.alive:
        return
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return  # it ended between the look and the call
