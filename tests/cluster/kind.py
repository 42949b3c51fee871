"""Kubernetes in Docker, by the kind command: ours, at the version that tools/kind pins."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from . import docker
from .abilities import Ability, parse
from .errors import ClusterError, CommandFailed
from .gotools import GoTools
from .images.builder import Dockerfile
from .kubectl import Kubectl
from .layout import Layout
from .programs import run
from .progress import Progress

NAME = "openclaw-tenancy"
CREATE_SECONDS = 1800.0
"""The first time the node's image is pulled: a gigabyte."""
READY_SECONDS = 120.0
KIND_SECONDS = 600.0
PAUSE_SECONDS = 0.5
OWN = frozenset({Ability.POLICIES})
"""Its network plugin, kindnet, enforces; its storage is rancher's local-path, which clones nothing."""


class Kind:
    """One cluster of this name a Docker daemon. What CLUSTER_KIND_... add to it, other variables tell (README.md)."""

    def __init__(self, layout: Layout, progress: Progress, python_image: str) -> None:
        self._layout = layout
        self._progress = progress
        self._kubeconfig = layout.root / "kind.kubeconfig"
        self.python_image = python_image
        self.storage_class: str | None = os.environ.get("CLUSTER_STORAGE_CLASS")
        self.helm = str(layout.program("helm"))

    @property
    def abilities(self) -> frozenset[Ability]:
        """Its own, or what CLUSTER_ABILITIES lists where a config or its owner made it another one."""
        said = os.environ.get("CLUSTER_ABILITIES")
        return OWN if said is None else parse(said) - {Ability.PARTS}

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(str(self._layout.program("kubectl")), self._kubeconfig)

    def up(self) -> None:
        self._need_docker()
        GoTools(self._layout, self._progress).ensure(("kind", "kubectl", "helm"))
        if self._is_there():
            self._resume()
        else:
            with self._progress.step("kind create cluster", announce=True):
                self._kind("create", "cluster", *create_options(), *self._which(), timeout=CREATE_SECONDS)
        self._bring(self.python_image)

    def running(self) -> bool:
        return self._kubeconfig.exists() and self.kubectl.is_ready()

    def down(self, wipe: bool = False) -> list[str]:
        """Delete it, with or without `wipe`: kind stops no clusters."""
        self._need_docker()
        GoTools(self._layout, self._progress).ensure(("kind",))
        there = self._is_there()
        if there:
            self._kind("delete", "cluster", *self._which())
        self._kubeconfig.unlink(missing_ok=True)
        return [NAME] if there else []

    def load(self, images: Sequence[Dockerfile]) -> list[str]:
        for image in images:
            with self._progress.step(f"image {image.tag}", announce=True):
                docker.build(image, image.tag)
                self._load(image.tag)
        return [image.tag for image in images]

    def _need_docker(self) -> None:
        if not docker.answers():
            raise ClusterError("CLUSTER=kind needs Docker, and `docker version` fails", "start it, or CLUSTER=scratch")

    def _is_there(self) -> bool:
        """Whether there is the cluster, running or not."""
        return NAME in self._kind("get", "clusters").split()

    def _resume(self) -> None:
        """Continue with what is there; its containers are stopped after a restart of the machine."""
        hint = "delete it with CLUSTER=kind make cluster-down, and bring it up anew"
        nodes = self._kind("get", "nodes", "--name", NAME).split()
        docker.docker("start", *nodes)
        self._kind("export", "kubeconfig", *self._which(), hint=hint)
        deadline = time.monotonic() + READY_SECONDS
        while not self.kubectl.is_ready():
            if time.monotonic() > deadline:
                raise ClusterError(f"kind's {NAME} is there, but its API server is not ready", hint)
            time.sleep(PAUSE_SECONDS)

    def _bring(self, image: str) -> None:
        """Load an image that Docker has; any other the nodes pull."""
        if not docker.has(image):
            return
        try:
            self._load(image)
        except CommandFailed as failed:  # of an image for several platforms Docker may have only a part
            self._progress.note(f"{image} is left for the nodes to pull: {failed}")

    def _load(self, name: str) -> None:
        self._kind("load", "docker-image", "--name", NAME, name)

    def _which(self) -> list[str]:
        return ["--name", NAME, "--kubeconfig", str(self._kubeconfig)]

    def _kind(self, *words: str, timeout: float = KIND_SECONDS, hint: str = "") -> str:
        return run([self._layout.program("kind"), *words], timeout=timeout, hint=hint)


def create_options() -> list[str]:
    """What CLUSTER_KIND_IMAGE and CLUSTER_KIND_CONFIG make of `kind create cluster`."""
    options = ["--wait", f"{READY_SECONDS:.0f}s"]
    for option, variable in (("--image", "CLUSTER_KIND_IMAGE"), ("--config", "CLUSTER_KIND_CONFIG")):
        if value := os.environ.get(variable):
            options += [option, value]
    return options
