"""`make e2e` is all tests that need pods, wherever they lie, and the cluster is that which Python chooses."""

from __future__ import annotations

import os
import shlex
import subprocess

from cluster.images.ours import REPOSITORY


def dry_run(target: str, **variables: str) -> str:
    """What make would do."""
    # What the make that may run this test was told (`make test ARGS=...`) reaches every make below it.
    alone = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ARGS", "CLUSTER", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")
    }
    return subprocess.run(
        ["make", "--dry-run", target],
        cwd=REPOSITORY,
        env={**alone, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_make_e2e_names_no_folders_so_that_none_is_forgotten() -> None:
    (line,) = [line for line in dry_run("e2e").splitlines() if "/pytest " in line]
    assert shlex.split(line)[1:] == ["-m", "cluster and node"]


def test_make_chooses_no_cluster_by_itself() -> None:
    # It would pass over a scratch cluster that was brought up by hand, and ask a daemon that may hang at every target.
    assert "CLUSTER=" not in dry_run("cluster-up")
    assert 'eval "$(CLUSTER=kind ' in dry_run("cluster-up", CLUSTER="kind")
