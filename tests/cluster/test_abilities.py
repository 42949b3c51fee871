"""Tests that a cluster can't serve are skipped and say why; on a scratch cluster a skip is a failure. No cluster runs here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cluster.__main__ import main
from cluster.abilities import ALL, Ability, lacking, parse
from cluster.errors import ClusterError
from cluster.progress import Progress
from cluster.providers import Choice, Existing, Scratch, choice, provider

TESTS = Path(__file__).parents[1]
# Two that lie outside of our own conftest.py: the plugin alone decides.
SUITE = """\
import pytest
from cluster.abilities import Ability

@pytest.mark.node
@pytest.mark.needs(Ability.CLONES)
def test_that_needs_clones(): pass

@pytest.mark.node
def test_that_skips_by_itself(): pytest.skip("no reason")
"""
CONFIG = "[pytest]\nmarkers =\n    node: pods\n    cluster: any\npythonpath = {}\n"


def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What pytest says of SUITE."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text(CONFIG.format(TESTS))
    argv = [sys.executable, "-m", "pytest", "-p", "cluster.fixtures", "-rsfE", "--strict-markers", "."]
    return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout


def test_what_a_cluster_lacks_is_skipped_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = outcome(tmp_path, monkeypatch, CLUSTER="existing")
    assert "CLUSTER=existing: its volumes can't be cloned" in said
    assert "2 skipped" in said
    said = outcome(tmp_path, monkeypatch, CLUSTER="existing", CLUSTER_ABILITIES="clones, routes")
    assert "1 passed, 1 skipped" in said


def test_on_a_scratch_cluster_a_skip_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = outcome(tmp_path, monkeypatch, CLUSTER="scratch")
    assert "1 failed, 1 passed" in said
    assert "skipped on CLUSTER=scratch, which lacks nothing" in said


def test_scratch_lacks_nothing_and_others_are_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scratch.abilities == ALL == frozenset(Ability)
    assert not lacking(Ability, Scratch.abilities)
    monkeypatch.setenv("CLUSTER", "existing")
    monkeypatch.setenv("CLUSTER_ABILITIES", ",".join(Ability))
    assert provider(Progress()).abilities == ALL - {Ability.PARTS}
    monkeypatch.setenv("CLUSTER", "kind")
    assert provider(Progress()).abilities == ALL - {Ability.PARTS}
    assert all(lacking([ability], frozenset()) for ability in Ability), "each has its reason"


def test_an_unknown_ability_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"clone is no ability\n  -> any of: clones, policies"):
        parse("routes,clone")


def test_env_and_status_are_those_of_the_cluster_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLUSTER", "existing")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-another"))
    assert main(["env"]) == 0
    assert f"export KUBECONFIG={tmp_path / 'of-another'}\n" in capsys.readouterr().out
    assert main(["status"]) == 1
    assert capsys.readouterr().out.startswith("existing: API server NOT ready\n")
    monkeypatch.setenv("CLUSTER", "scratch")
    assert main(["env", "--name", "nobodys"]) == 0
    assert "/nobodys/admin.kubeconfig\n" in capsys.readouterr().out


def test_unset_it_is_the_scratch_cluster_that_was_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLUSTER", raising=False)
    monkeypatch.setenv("CLUSTER_ROOT", str(tmp_path))
    monkeypatch.setattr("cluster.docker.answers", lambda: True)
    assert choice("mine") == Choice.KIND
    (tmp_path / "instances" / "mine").mkdir(parents=True)
    (tmp_path / "instances" / "mine" / "instance.json").write_text('{"level": "apiserver", "controllers": true}')
    assert choice("mine") == Choice.SCRATCH
    assert choice("another") == Choice.KIND


def test_an_existing_cluster_may_have_its_own_image_with_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "existing")
    monkeypatch.setenv("CLUSTER_PYTHON_IMAGE", "here/python:1")
    chosen = provider(Progress())
    assert isinstance(chosen, Existing)
    assert chosen.python_image == "here/python:1"
