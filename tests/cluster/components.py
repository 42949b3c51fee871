"""The parts of a cluster that run as processes, and their start in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .errors import ClusterError
from .processes import ProcessTable
from .progress import Progress


def at_once() -> bool:
    """For a component that nothing waits for."""
    return True


@dataclass(frozen=True)
class Component:
    """One long-running program. `ready` tells when what comes next may start; `timeout` (seconds) ends the wait."""

    name: str
    argv: list[str]
    ready: Callable[[], bool] = at_once
    timeout: float = 30.0
    env: Mapping[str, str] = field(default_factory=dict)


# Whoever uses etcd cannot end in peace once it is gone: kube-apiserver waits for it.
LAST_TO_STOP = ("etcd", "containerd", "namespaces")


class Components:
    """Starts and stops components; one that runs is left alone."""

    def __init__(self, processes: ProcessTable, progress: Progress) -> None:
        self._processes = processes
        self._progress = progress

    def start(self, component: Component, wait: bool = True) -> None:
        """Start it and, if `wait`, wait until it is ready; raises NotReady."""
        if self._processes.find(component.name):
            if wait:
                self.wait(component)
            return
        self._processes.start(component.name, component.argv, component.env)
        if wait:
            self.wait(component)
            self._progress.note(component.name)

    def wait(self, component: Component) -> None:
        self._processes.wait_ready(component.name, component.ready, component.timeout)

    def stop_all(self) -> list[str]:
        """Stop all in the order that lets each end by itself; returns the names of those that ran."""
        names = [process.name for process in self._processes.all()]
        stopped = self._processes.stop([name for name in names if name not in LAST_TO_STOP])
        for last in LAST_TO_STOP:
            stopped += self._processes.stop([last])
        return stopped


def named(components: Iterable[Component], name: str) -> Component:
    """The component of this name; ClusterError lists the names there are."""
    known = {component.name: component for component in components}
    if name not in known:
        raise ClusterError(f"no component is called {name}", f"one of: {', '.join(known)}")
    return known[name]
