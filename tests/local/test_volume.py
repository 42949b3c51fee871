from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from tenant_local import volume
from tenant_local.volume import VolumeError, make_volume


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "sub" / "run.sh").chmod(0o4755)
    (folder / "big").write_bytes(os.urandom(3 << 20))
    (folder / "sub" / "link").symlink_to("run.sh")
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "dangling").symlink_to("nowhere")
    return folder


def test_copies_files_modes_and_links(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "state"
    made = make_volume(source, target)
    assert made.files == 2
    assert (target / "big").read_bytes() == (source / "big").read_bytes()
    assert (target / "big").stat().st_mtime_ns == (source / "big").stat().st_mtime_ns
    assert (target / "sub" / "run.sh").stat().st_mode & 0o7777 == 0o755, "never a set-user-id program"
    assert (target / "sub" / "link").readlink() == Path("run.sh")
    assert (target / "outside").is_symlink(), "not followed"
    assert (target / "dangling").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o700
    (target / "big").write_bytes(b"mine")
    assert (source / "big").stat().st_size == 3 << 20, "the template stays as it is"


def test_empty_volume(tmp_path: Path) -> None:
    make_volume(None, tmp_path / "state")
    assert list((tmp_path / "state").iterdir()) == []


def test_copies_where_the_kernel_can_neither_clone_nor_copy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_copy(*_: object) -> int:
        raise OSError(errno.EXDEV, "no")

    monkeypatch.setattr(volume, "_reflink", lambda *_: False)
    monkeypatch.setattr(os, "copy_file_range", no_copy)
    make_volume(source, tmp_path / "state")
    assert (tmp_path / "state" / "big").read_bytes() == (source / "big").read_bytes()


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_refuses_special_files(source: Path, tmp_path: Path, kind: str) -> None:
    odd = source / "sub" / "odd"
    if kind == "fifo":
        os.mkfifo(odd)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(odd))
    with pytest.raises(VolumeError, match=r"sub/odd is no file, folder or symbolic link"):
        make_volume(source, tmp_path / "state")
    assert not (tmp_path / "state").exists()
    assert not list(tmp_path.glob(".volume-*")), "nothing half-made stays"


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match=r"spec\.volume\.source\.path"):
        make_volume(tmp_path / "nowhere", tmp_path / "state")


def test_leftovers_of_a_crash_are_removed(source: Path, tmp_path: Path) -> None:
    (tmp_path / ".volume-123" / "x").mkdir(parents=True)
    make_volume(source, tmp_path / "state")
    assert not (tmp_path / ".volume-123").exists()
