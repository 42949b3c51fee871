"""Which cluster: CLUSTER=existing (KUBECONFIG says which), kind (needs Docker), or scratch (makes its own).

All three are brought up, given images and left in the same words; what not all can do they tell (`abilities`). Unset, it is
a scratch cluster that was brought up by hand, else kind where Docker answers, else scratch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from . import docker
from .abilities import ALL, Ability, parse
from .errors import ClusterError
from .gotools import GoTools
from .images import base
from .images.builder import Builder, Dockerfile
from .kind import Kind
from .kubectl import Kubectl
from .layout import STORAGE_CLASS, Layout, Level
from .programs import find
from .progress import Progress
from .scratch import ScratchCluster

DEFAULT_NAME = "scratch"
PUBLIC_PYTHON = "python:3.13-slim"


class Choice(StrEnum):
    """The values of CLUSTER."""

    EXISTING = "existing"
    KIND = "kind"
    SCRATCH = "scratch"


def choice(name: str = DEFAULT_NAME) -> Choice:
    """What CLUSTER says; ClusterError for a word it does not know. Unset: a scratch cluster of this name if there is one."""
    if word := os.environ.get("CLUSTER"):
        try:
            return Choice(word)
        except ValueError:
            raise ClusterError(f"CLUSTER={word} is unknown", f"one of: {', '.join(Choice)}") from None
    if ScratchCluster(Layout.default(), name, Progress()).exists:
        return Choice.SCRATCH
    return Choice.KIND if docker.answers() else Choice.SCRATCH


class Provider(Protocol):
    """A cluster that runs pods."""

    storage_class: str | None
    """Its volumes can be cloned; None: what the cluster has as its default, which may not be able to."""
    python_image: str
    """An image with `python3`, present once `up` has returned or pulled by the cluster itself."""
    helm: str
    """The program; there once `up` has returned."""

    @property
    def abilities(self) -> frozenset[Ability]: ...

    @property
    def kubectl(self) -> Kubectl: ...

    def up(self) -> None:
        """Bring it up, or say why not (ClusterError). What runs already is left alone."""
        ...

    def running(self) -> bool:
        """Whether its API server answers."""
        ...

    def down(self, wipe: bool = False) -> list[str]:
        """Take down what `up` brought; returns the names of what was stopped."""
        ...

    def load(self, images: Sequence[Dockerfile]) -> list[str]:
        """Build images and have them where pods find them; returns the names for the pods."""
        ...


class Scratch:
    """Our own."""

    storage_class: str | None = STORAGE_CLASS
    python_image = base.NAME
    abilities = ALL

    def __init__(self, layout: Layout, progress: Progress, name: str = DEFAULT_NAME) -> None:
        self.cluster = ScratchCluster(layout, name, progress)
        self.helm = str(layout.program("helm"))
        self._layout = layout
        self._progress = progress

    @property
    def kubectl(self) -> Kubectl:
        return self.cluster.kubectl

    def up(self) -> None:
        self.cluster.up(Level.NODE)
        self.cluster.node.images.load(base.ensure(self._layout, self._progress), base.NAME)

    def running(self) -> bool:
        status = self.cluster.status()
        return status is not None and status.ready

    def down(self, wipe: bool = False) -> list[str]:
        return self.cluster.down(wipe)

    def load(self, images: Sequence[Dockerfile]) -> list[str]:
        builder = Builder(self._layout, self._progress)
        for image in images:
            self.cluster.node.images.load(builder.build(image), image.tag)
        return [image.tag for image in images]


class Existing:
    """The cluster that KUBECONFIG names; the variables CLUSTER_... say what can't be seen from here (README.md)."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self._layout = layout
        self._progress = progress
        self.storage_class: str | None = os.environ.get("CLUSTER_STORAGE_CLASS")
        self.python_image = python_image()
        self.helm = find("helm") or str(layout.program("helm"))

    @property
    def abilities(self) -> frozenset[Ability]:
        """What CLUSTER_ABILITIES lists; never to break its parts, which are not ours."""
        return parse(os.environ.get("CLUSTER_ABILITIES", "")) - {Ability.PARTS}

    @property
    def kubectl(self) -> Kubectl:
        default = Path.home() / ".kube" / "config"
        program = find("kubectl") or str(self._layout.program("kubectl"))
        return Kubectl(program, Path(os.environ.get("KUBECONFIG") or default))

    def up(self) -> None:
        GoTools(self._layout, self._progress).ensure(name for name in ("kubectl", "helm") if not find(name))
        self.kubectl("get", "--raw", "/readyz")

    def running(self) -> bool:
        return self.kubectl.is_ready()

    def down(self, wipe: bool = False) -> list[str]:
        return []  # not ours

    def load(self, images: Sequence[Dockerfile]) -> list[str]:
        registry = os.environ.get("CLUSTER_REGISTRY")
        if not registry:
            raise ClusterError("the images must come from somewhere", "set CLUSTER_REGISTRY, for example to HOST/PATH")
        names = []
        for image in images:
            name = f"{registry}/{image.tag.removeprefix('localhost/')}"
            with self._progress.step(f"image {name}", announce=True):
                docker.build(image, name)
                docker.docker("push", "--quiet", name, timeout=docker.BUILD_SECONDS)
            names.append(name)
        return names


def python_image() -> str:
    """What CLUSTER_PYTHON_IMAGE says, else the public one."""
    return os.environ.get("CLUSTER_PYTHON_IMAGE") or PUBLIC_PYTHON


def provider(progress: Progress, name: str = DEFAULT_NAME) -> Provider:
    """The cluster that CLUSTER means; `name` is for a scratch cluster."""
    layout = Layout.default()
    match choice(name):
        case Choice.EXISTING:
            return Existing(layout, progress)
        case Choice.KIND:
            return Kind(layout, progress, python_image())
        case Choice.SCRATCH:
            return Scratch(layout, progress, name)
