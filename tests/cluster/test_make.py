"""`make e2e` is all tests that need pods, wherever they lie."""

from __future__ import annotations

import os
import shlex
import subprocess

from cluster.images.ours import REPOSITORY


def test_make_e2e_names_no_folders_so_that_none_is_forgotten() -> None:
    # What the make that may run this test was told (`make test ARGS=...`) reaches every make below it.
    alone = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")
    }
    command = ["make", "--dry-run", "e2e"]
    said = subprocess.run(
        command, cwd=REPOSITORY, env=alone, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    (line,) = [line for line in said.splitlines() if "/pytest " in line]
    assert shlex.split(line)[1:] == ["-m", "cluster and node"]
