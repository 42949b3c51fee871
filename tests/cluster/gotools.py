"""Compiles the Go programs of a cluster, at the versions that tools/FAMILY/go.mod and go.sum pin.

One Go module a family, so that their dependencies cannot clash. A program is built again when its go.mod, go.sum or
the flags change, and never twice at a time on one machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError
from .layout import TOOLS_DIR, Layout
from .programs import need, run
from .progress import Progress

BUILD_TIMEOUT_SECONDS = 3600.0
# Below everything that a person is waiting for on the same machine.
NICENESS = "10"
GO_HINT = "install Go 1.26 or newer and put it on PATH"
NETWORK_HINT = "the first build needs the Go module proxy; behind a proxy of your own set GOPROXY, and run it again"


@dataclass(frozen=True)
class Program:
    """A program and the Go package that it is built from; `seconds`: about so long on two free cores."""

    name: str
    family: str
    package: str
    seconds: int


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", 28),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", 98),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 207),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 87),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 22),
    Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 22),
    Program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 9),
    Program(
        "csi-provisioner",
        "csi-provisioner",
        "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
        160,
    ),
    Program(
        "snapshot-controller",
        "snapshotter",
        "github.com/kubernetes-csi/external-snapshotter/v8/cmd/snapshot-controller",
        51,
    ),
    Program(
        "csi-snapshotter",
        "snapshotter",
        "github.com/kubernetes-csi/external-snapshotter/v8/cmd/csi-snapshotter",
        10,
    ),
    Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", 61),
    Program("coredns", "coredns", "github.com/coredns/coredns", 118),
    Program("pause", "pause", ".", 2),
    Program("kind", "kind", "sigs.k8s.io/kind", 8),
)


def go_mod(family: str) -> Path:
    return TOOLS_DIR / family / "go.mod"


def required_version(family: str, module: str) -> str:
    """The version of a module that the family's go.mod requires."""
    found = re.search(rf"^(?:require|\t)\s*{re.escape(module)} (v\S+)", go_mod(family).read_text(), re.MULTILINE)
    if not found:
        raise ClusterError(f"{go_mod(family)} requires no {module}", "add it with `go get` in that directory")
    return found[1]


def linker_flags(family: str) -> str:
    """No symbols; for Kubernetes its version, else clients see v0.0.0 and refuse or misjudge the server."""
    flags = ["-s", "-w"]
    if family == "kubernetes":
        version = required_version(family, "k8s.io/kubernetes")
        major, minor, _ = version.removeprefix("v").split(".", 2)
        base = "k8s.io/component-base/version"
        values = {
            f"{base}.gitVersion": version,
            f"{base}.gitMajor": major,
            f"{base}.gitMinor": minor,
            f"{base}.gitTreeState": "clean",
            "k8s.io/client-go/pkg/version.gitVersion": version,
        }
        flags += [word for name, value in values.items() for word in ("-X", f"{name}={value}")]
    return " ".join(flags)


def inputs_digest(program: Program) -> str:
    """What the program is built from, as one hash."""
    parts = sorted(part for part in (TOOLS_DIR / program.family).iterdir() if part.suffix in (".mod", ".sum", ".go"))
    content = b"".join(part.read_bytes() for part in parts)
    return hashlib.sha256(content + linker_flags(program.family).encode() + program.package.encode()).hexdigest()


def build_command(go: str, program: Program, output: Path, jobs: str | None) -> list[str]:
    """`jobs`: packages compiled at a time; as many as there are cores when None."""
    at_a_time = ["-p", jobs] if jobs else []
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", linker_flags(program.family)]
    return ["nice", "-n", NICENESS, go, "build", *at_a_time, *flags, "-o", str(output), program.package]


class GoTools:
    """The compiled programs in the cache."""

    def __init__(self, layout: Layout, progress: Progress) -> None:
        self._layout = layout
        self._progress = progress

    def ensure(self, names: Iterable[str]) -> None:
        """Build those of these programs that are missing or out of date; others wait meanwhile.

        Reads CLUSTER_BUILD_JOBS: how many packages to compile at a time, for machines that others use too.
        """
        wanted = set(names)
        programs = [program for program in PROGRAMS if program.name in wanted]
        if all(self._is_current(program) for program in programs):
            return
        go = need("go", GO_HINT)
        with self._alone():
            for program in programs:
                if not self._is_current(program):
                    self._build(go, program)

    def module_dir(self, family: str, module: str) -> Path:
        """Where Go keeps a module's source, fetched when it is not there."""
        listed = run(
            [need("go", GO_HINT), "mod", "download", "-json", module],
            timeout=BUILD_TIMEOUT_SECONDS,
            cwd=TOOLS_DIR / family,
            env=_environment(),
            hint=NETWORK_HINT,
        )
        found = re.search(r'"Dir": "(.*)"', listed)
        if not found:
            raise ClusterError(f"go mod download says no directory for {module}", NETWORK_HINT)
        return Path(found[1])

    def _stamp(self, program: Program) -> Path:
        return self._layout.bin / f".{program.name}.built-from"

    def _is_current(self, program: Program) -> bool:
        stamp = self._stamp(program)
        if not stamp.exists() or not self._layout.program(program.name).exists():
            return False
        return stamp.read_text() == inputs_digest(program)

    def _build(self, go: str, program: Program) -> None:
        self._layout.bin.mkdir(parents=True, exist_ok=True)
        fresh = self._layout.bin / f".{program.name}.new"
        jobs = os.environ.get("CLUSTER_BUILD_JOBS")
        with self._progress.step(f"{program.name}: compile (about {program.seconds} s on 2 cores)", announce=True):
            run(
                build_command(go, program, fresh, jobs),
                timeout=BUILD_TIMEOUT_SECONDS,
                cwd=TOOLS_DIR / program.family,
                env=_environment(),
                hint=NETWORK_HINT,
            )
        fresh.replace(self._layout.program(program.name))
        self._stamp(program).write_text(inputs_digest(program))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._layout.root.mkdir(parents=True, exist_ok=True)
        with (self._layout.root / "build.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._progress.note("another command is compiling; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _environment() -> dict[str, str]:
    # Static programs run in any mount namespace; readonly refuses what go.mod and go.sum do not pin.
    return {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
