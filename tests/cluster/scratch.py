"""CLUSTER=scratch: a cluster built and started on this machine, without Docker and without a registry of images."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import Any

from .api import Api
from .apiserver_level import ApiServerLevel
from .components import Components, named
from .errors import ClusterError
from .gotools import GoTools
from .kubectl import Kubectl
from .layout import Instance, Layout, Level
from .node_level import NodeLevel
from .processes import Process, ProcessTable
from .progress import Progress

# The programs, the images and the keys are kept: they are what makes the next start quick.
WIPED = ("data", "run", "pki", "log")
APISERVER_PROGRAMS = ("etcd", "kubectl", "helm", "kube-apiserver", "kube-controller-manager")
NODE_PROGRAMS = (
    *("kube-scheduler", "kubelet", "kube-proxy"),
    *("csi-provisioner", "snapshot-controller", "csi-snapshotter"),
    *("coredns", "pause"),
)


def programs(level: Level) -> tuple[str, ...]:
    """What has to be compiled for a level."""
    return APISERVER_PROGRAMS + (NODE_PROGRAMS if level == Level.NODE else ())


@dataclass(frozen=True)
class Status:
    """What `python -m cluster status` tells."""

    level: Level
    processes: list[Process]
    ready: bool


class ScratchCluster:
    """One cluster of our own: up, down, and its parts one by one."""

    def __init__(self, layout: Layout, name: str, progress: Progress) -> None:
        self.instance: Instance = layout.instance(name)
        self._layout = layout
        self._progress = progress
        self._processes = ProcessTable(self.instance.run / "processes.json", self.instance.log)

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(str(self._layout.program("kubectl")), self.instance.kubeconfig)

    @property
    def exists(self) -> bool:
        """Whether it was ever brought up, and not wiped since."""
        return self._saved() is not None

    def up(self, level: Level, controllers: bool = True) -> None:
        """Build what is missing and start what does not run. Raises ClusterError; what runs then keeps running."""
        self.instance.make_directories()
        if (running := self._saved()) and running["level"] != level and self._alive():
            raise ClusterError(
                f"{self.instance.name} runs already, as a cluster of level {running['level']}",
                f"stop it with `python -m cluster down --name {self.instance.name}`, or give this one another --name",
            )
        self._save({"level": level, "controllers": controllers})
        GoTools(self._layout, self._progress).ensure(programs(level))
        self._level().up()

    def down(self, wipe: bool = False) -> list[str]:
        """Stop everything that `up` started; `wipe` also forgets data and keys. Returns what was stopped."""
        stopped = self._level().down() if self._saved() else []
        if wipe:
            for part in WIPED:
                shutil.rmtree(self.instance.dir / part, ignore_errors=True)
            shutil.rmtree(self.instance.dir, ignore_errors=True)
        return stopped

    def stop(self, component: str) -> None:
        """Stop one component, as a failure would; `start` brings it back."""
        named(self._level().components(), component)
        self._processes.stop([component])

    def start(self, component: str) -> None:
        """Start one component that was stopped, and wait until it is ready."""
        Components(self._processes, self._progress).start(named(self._level().components(), component))

    def status(self) -> Status | None:
        """None where there has never been one, or nothing of it runs."""
        saved = self._saved()
        if not saved or not self._alive():
            return None
        return Status(Level(saved["level"]), self._processes.all(), Api(self.instance.kubeconfig).ready())

    @property
    def node(self) -> NodeLevel:
        """The running node; ClusterError if this cluster has none."""
        level = self._level()
        if not isinstance(level, NodeLevel) or not self._alive():
            raise ClusterError("no node is running", "start one with `python -m cluster up --level node`")
        return level

    def _alive(self) -> bool:
        return any(process.alive for process in self._processes.all())

    def _level(self) -> ApiServerLevel | NodeLevel:
        saved = self._saved()
        if not saved:
            raise ClusterError(
                f"there is no cluster called {self.instance.name}", "start it with `python -m cluster up`"
            )
        if saved["level"] == Level.NODE:
            return NodeLevel(self.instance, self._processes, self._progress)
        return ApiServerLevel(self.instance, self._processes, self._progress, bool(saved["controllers"]))

    def _saved(self) -> dict[str, Any] | None:
        file = self.instance.dir / "instance.json"
        if not file.exists():
            return None
        saved = json.loads(file.read_text())
        assert isinstance(saved, dict)
        return saved

    def _save(self, what: dict[str, Any]) -> None:
        (self.instance.dir / "instance.json").write_text(json.dumps(what))
