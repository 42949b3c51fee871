"""What is asked of docker and kind: scripts under their names write it down. No Docker is needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import docker, kind
from cluster.__main__ import main
from cluster.abilities import Ability
from cluster.errors import ClusterError, CommandFailed
from cluster.gotools import PROGRAMS, inputs_digest
from cluster.images.builder import Dockerfile
from cluster.layout import Layout
from cluster.progress import Progress
from cluster.providers import PUBLIC_PYTHON, provider

MINE = Dockerfile("localhost/mine:dev", Path("context"), target="mine")
# `kind get clusters` and `get nodes` answer from files; anything that $BROKEN begins is an error; the cluster is up once
# created or started.
PROGRAM = """\
#!/bin/sh
said="$(basename "$0") $*"
echo "$said" >> "$WORLD/asked"
[ -n "$BROKEN" ] && case "$said" in "$BROKEN"*) echo "it is broken" >&2; exit 1;; esac
case "$said" in
    "kind get clusters") [ ! -e "$WORLD/there" ] || echo openclaw-tenancy;;
    "kind get nodes "*) echo one; echo two;;
    "kind create "*) touch "$WORLD/there" "$WORLD/ready" "$WORLD/kind.kubeconfig";;
    "kind export "*) touch "$WORLD/kind.kubeconfig";;
    "kind delete "*) rm "$WORLD/there";;
    "docker start "*) touch "$WORLD/ready";;
    "docker image inspect "*) [ -e "$WORLD/has-python" ] || exit 1;;
    "kubectl get --raw /readyz") [ -e "$WORLD/ready" ] && echo ok;;
esac
"""
World = Callable[[], list[str]]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """What was asked since the last look, in a world where CLUSTER=kind and all programs are there."""
    layout = Layout(tmp_path)
    layout.bin.mkdir()
    for name in ("docker", "kind", "kubectl", "helm"):
        layout.program(name).write_text(PROGRAM)
        layout.program(name).chmod(0o755)
    for program in PROGRAMS:
        if layout.program(program.name).exists():
            (layout.bin / f".{program.name}.built-from").write_text(inputs_digest(program))
    for variable in [name for name in os.environ if name.startswith("CLUSTER_")]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("BROKEN", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(layout.bin), os.environ["PATH"]]))
    monkeypatch.setenv("CLUSTER_ROOT", str(tmp_path))
    monkeypatch.setenv("WORLD", str(tmp_path))
    monkeypatch.setenv("CLUSTER", "kind")
    written = tmp_path / "asked"

    def since() -> list[str]:
        lines = written.read_text().splitlines() if written.exists() else []
        written.unlink(missing_ok=True)
        return [line for line in lines if line != "docker version"]

    return since


def which(tmp_path: Path) -> str:
    return f"--name openclaw-tenancy --kubeconfig {tmp_path}/kind.kubeconfig"


def test_up_creates_it_as_the_variables_say(tmp_path: Path, asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_KIND_IMAGE", "mirror/node:v1")
    monkeypatch.setenv("CLUSTER_KIND_CONFIG", "my.yaml")
    chosen = provider(Progress())
    chosen.up()
    assert f"kind create cluster --wait 120s --image mirror/node:v1 --config my.yaml {which(tmp_path)}" in asked()
    assert chosen.running()


def test_up_starts_again_what_stopped_with_the_machine(tmp_path: Path, asked: World) -> None:
    (tmp_path / "there").touch()
    chosen = provider(Progress())
    assert not chosen.running()
    chosen.up()
    said = asked()
    assert said.index("docker start one two") < said.index(f"kind export kubeconfig {which(tmp_path)}")
    assert not [line for line in said if line.startswith("kind create")]
    assert chosen.running()


def test_one_that_does_not_come_back_is_said_to_be_deleted_by_hand(
    tmp_path: Path, asked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").touch()
    monkeypatch.setattr(kind, "READY_SECONDS", 0.0)
    monkeypatch.setenv("BROKEN", "kubectl")
    with pytest.raises(ClusterError, match="not ready\n  -> delete it with CLUSTER=kind make cluster-down"):
        provider(Progress()).up()
    monkeypatch.setenv("BROKEN", "kind export")  # as of a node whose creation was interrupted
    with pytest.raises(CommandFailed, match="it is broken\n  -> delete it with"):
        provider(Progress()).up()


def test_down_deletes_it_and_leaves_no_kubeconfig(tmp_path: Path, asked: World) -> None:
    chosen = provider(Progress())
    assert chosen.down() == []
    assert asked() == ["kind get clusters"]
    chosen.up()
    assert chosen.down() == ["openclaw-tenancy"]
    assert f"kind delete cluster {which(tmp_path)}" in asked()
    assert not (tmp_path / "kind.kubeconfig").exists()
    assert not chosen.running()


def test_the_image_with_python_is_loaded_where_docker_has_it_and_else_pulled(
    tmp_path: Path, asked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = f"kind load docker-image --name openclaw-tenancy {PUBLIC_PYTHON}"
    provider(Progress()).up()
    assert loads not in asked()
    (tmp_path / "has-python").touch()
    provider(Progress()).up()
    assert loads in asked()
    notes: list[str] = []
    monkeypatch.setenv("BROKEN", "kind load")
    provider(Progress(notes.append)).up()
    assert f"{PUBLIC_PYTHON} is left for the nodes to pull" in notes[-1]
    monkeypatch.setenv("CLUSTER_PYTHON_IMAGE", "here/python:1")
    assert provider(Progress()).python_image == "here/python:1"


def test_images_are_built_with_more_options_and_loaded(asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER_DOCKER_BUILD", "--network=host --build-arg 'BASE=mirror/python:3.13 slim'")
    assert provider(Progress()).load([MINE]) == ["localhost/mine:dev"]
    more = "--network=host --build-arg BASE=mirror/python:3.13 slim"
    assert asked() == [
        f"docker build --quiet --tag localhost/mine:dev --target mine {more} context",
        "kind load docker-image --name openclaw-tenancy localhost/mine:dev",
    ]
    monkeypatch.setenv("CLUSTER_DOCKER_BUILD", "'")
    with pytest.raises(ClusterError, match="CLUSTER_DOCKER_BUILD=': No closing quotation"):
        docker.more_options()


def test_what_it_can_do_is_its_own_unless_said_otherwise(asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider(Progress()).abilities == {Ability.POLICIES}
    assert provider(Progress()).storage_class is None
    monkeypatch.setenv("CLUSTER_ABILITIES", "clones,parts")
    monkeypatch.setenv("CLUSTER_STORAGE_CLASS", "csi-hostpath")
    assert provider(Progress()).abilities == {Ability.CLONES}
    assert provider(Progress()).storage_class == "csi-hostpath"
    monkeypatch.setenv("CLUSTER_ABILITIES", "")
    assert provider(Progress()).abilities == frozenset()


def test_a_daemon_that_refuses_or_hangs_is_none(asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert docker.answers()
    monkeypatch.setenv("BROKEN", "docker version")
    assert not docker.answers()
    for ask in (provider(Progress()).up, provider(Progress()).down):
        with pytest.raises(ClusterError, match="CLUSTER=kind needs Docker"):
            ask()
    monkeypatch.delenv("BROKEN")
    monkeypatch.setattr(docker, "ANSWER_SECONDS", 0.0)
    assert not docker.answers()


def test_its_images_are_not_listed_as_those_of_a_scratch_node(asked: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "--list"]) == 1
    assert "only a scratch node tells" in capsys.readouterr().err
