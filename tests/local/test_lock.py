from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tenant_local import lock


def test_only_one_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "gateway.lock"
    first = lock.acquire(path)
    assert first is not None
    assert lock.acquire(path) is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(first, b"x")
    os.close(first)
    again = lock.acquire(path)
    assert again is not None
    os.close(again)


def test_held_as_long_as_any_process_has_it(tmp_path: Path) -> None:
    path = tmp_path / "gateway.lock"
    held = lock.acquire(path)
    assert held is not None
    child = subprocess.Popen(["sleep", "60"], pass_fds=[held])
    os.close(held)
    assert lock.acquire(path) is None
    child.kill()
    child.wait()
    again = lock.acquire(path)
    assert again is not None
    os.close(again)


def test_names_one_process_and_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "gateway.lock"
    held = lock.acquire(path)
    assert held is not None
    lock.record(path, os.getpid())
    found = lock.holder(path)
    assert found is not None
    assert found.pid == os.getpid()
    told = json.loads(path.read_text())
    wrong: object
    for wrong in (
        {**told, "started": told["started"] + 1},
        {**told, "boot": "another"},
        {**told, "pid": 2**22 + 1},
        {"pid": 1},
        [],
    ):
        path.write_text(json.dumps(wrong))
        assert lock.holder(path) is None
    path.write_text("no json")
    assert lock.holder(path) is None
    os.close(held)


def test_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "gateway.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        lock.acquire(tmp_path / "gateway.lock")
