"""The runtime `openclaw`: installed once, found again, and clear about why it can't be had."""

from __future__ import annotations

import fcntl
import json
import platform
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from deadlines import eventually_sync
from tenant_local.runtimes import openclaw_install
from tenant_local.runtimes.openclaw_install import (
    InstallStep,
    NoDiskSpace,
    NoNetwork,
    OpenClawRuntime,
    UnsupportedPlatform,
    default_cache_dir,
    install,
    installed,
)
from tenant_local.runtimes.openclaw_runtime import MARKER, NODE_REQUIREMENT, VERSION, runtime_root


def silent(step: InstallStep) -> None:
    """Progress that nobody sees."""


def test_runs_and_is_whole(openclaw: OpenClawRuntime) -> None:
    argv, env = openclaw.cli(["--version"])
    answer = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert f"OpenClaw {VERSION}" in answer.stdout
    assert (openclaw.control_ui / "index.html").is_file()
    cached = sum(entry.stat().st_size for entry in openclaw.compile_cache.rglob("*") if entry.is_file())
    assert cached > 20_000_000  # one gateway boot leaves 28 MB of V8 code


def test_second_install_finds_the_first(openclaw: OpenClawRuntime) -> None:
    steps: list[InstallStep] = []
    assert install(default_cache_dir(), steps.append) == openclaw
    assert steps == []


def test_cli_hands_on_only_what_it_is_given(openclaw: OpenClawRuntime) -> None:
    _, env = openclaw.cli(["status"], {"HOME": "/nowhere"})
    assert env == {"HOME": "/nowhere", **openclaw.environment()}


def test_xdg_cache_home_is_honoured_unless_relative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "openclaw-tenancy"
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    assert default_cache_dir() == Path.home() / ".cache" / "openclaw-tenancy"


@pytest.mark.parametrize("marker", [None, "", "[]", "{", '{"openclaw": "2026.1.1", "node": "x"}'])
def test_half_made_or_foreign_is_not_installed(openclaw: OpenClawRuntime, tmp_path: Path, marker: str | None) -> None:
    root = runtime_root(tmp_path)
    root.mkdir(parents=True)
    for folder in ("node", "node_modules"):
        (root / folder).symlink_to(openclaw.root / folder)
    if marker is not None:
        (root / MARKER).write_text(marker)
    assert installed(tmp_path) is None
    shutil.copyfile(openclaw.root / MARKER, root / MARKER)
    assert installed(tmp_path) is not None


def test_without_a_network_it_says_so_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(NoNetwork, match="registry could not be reached"):
        install(tmp_path, silent)
    assert installed(tmp_path) is None
    assert [entry.name for entry in (tmp_path / "runtime").iterdir()] == [f"openclaw-{VERSION}.lock"]


def test_a_full_disk_is_seen_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=200_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NoDiskSpace, match=r"0\.2 GB free.*XDG_CACHE_HOME"):
        install(tmp_path, silent)


def test_a_machine_without_a_node_wheel_is_told_what_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(UnsupportedPlatform, match="runtime: native"):
        install(tmp_path, silent)


def test_a_second_installer_waits_for_the_first(openclaw: OpenClawRuntime, tmp_path: Path) -> None:
    root = runtime_root(tmp_path)
    root.parent.mkdir(parents=True)
    steps: list[InstallStep] = []
    result: list[OpenClawRuntime] = []
    with root.with_suffix(root.suffix + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: result.append(install(tmp_path, steps.append)))
        second.start()
        eventually_sync(lambda: len(steps) >= 2, 10, "the second installer says that it waits")
        root.mkdir()
        for entry in openclaw.root.iterdir():
            (root / entry.name).symlink_to(entry)
    second.join(10)
    assert not second.is_alive()
    assert [runtime.root for runtime in result] == [root]
    assert {step.name for step in steps} == {"wait"}


def test_lock_file_pins_every_package_and_names_no_registry() -> None:
    lock = json.loads((Path(openclaw_install.__file__).with_name("openclaw_package") / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name and not entry.get("inBundle")}
    assert packages["node_modules/openclaw"]["version"] == VERSION
    assert all("integrity" in entry and "resolved" not in entry for entry in packages.values())
    assert NODE_REQUIREMENT.count("==") == 1
