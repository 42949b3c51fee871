"""A pod's entrypoint, both runtimes: the mounted config becomes a real file, and does again when the Secret's files are swapped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from native_world import TOKEN, Operator, base_config

from deadlines import eventually
from ports import free_port
from tenant_gateway.pod import copy_config
from tenant_local.runtimes.openclaw_install import OpenClawRuntime
from tenant_operator.objects.pod import GRACE

PRELOAD = Path(__file__).parents[2] / "images" / "openclaw" / "pod.cjs"
EXIT_CONFIG = 78
START_TIMEOUT = 150.0  # upstream needs 7 s of a free core
RELOAD_TIMEOUT = 20.0
EXIT_TIMEOUT = 30.0  # it takes a second when nothing is under way


class Mount:
    """A Secret's volume as the kubelet lays it out: files are links into `..data`, which is swapped in one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "openclaw.json"
        self._versions = 0
        folder.mkdir()

    def write(self, content: bytes) -> None:
        self._versions += 1
        version = self.folder / f"..version{self._versions}"
        version.mkdir()
        (version / "openclaw.json").write_bytes(content)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self.folder / "..data")
        if not self.file.is_symlink():
            self.file.symlink_to("..data/openclaw.json")


class Pod:
    """A gateway as its image starts it, without the container around it."""

    def __init__(self, tmp_path: Path) -> None:
        self.mount = Mount(tmp_path / "etc")
        self.state = tmp_path / "state"
        self.state.mkdir()
        self.target = self.state / "openclaw.json"
        self.log = tmp_path / "gateway.log"
        self.port = free_port()
        self.config = base_config()
        self.config["gateway"]["port"] = self.port

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state / "home"),
            "OPENCLAW_STATE_DIR": str(self.state),
            "OPENCLAW_CONFIG_PATH": str(self.target),
            "OPENCLAW_CONFIG_SOURCE": str(self.mount.file),
        }

    def mount_config(self, change: Callable[[dict[str, Any]], None] = lambda config: None) -> bytes:
        change(self.config)
        content = json.dumps(self.config).encode()
        self.mount.write(content)
        return content

    @asynccontextmanager
    async def running(self, *argv: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        with self.log.open("ab") as log:
            environment = self.environment() | more
            process = await asyncio.create_subprocess_exec(
                *argv, env=environment, cwd=self.state, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield process
        except BaseException:
            print(self.log.read_text(errors="replace"))
            raise
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.wait_for(process.wait(), EXIT_TIMEOUT)

    async def listening(self) -> None:
        async def answers() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(answers, START_TIMEOUT)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


NATIVE = (sys.executable, "-m", "tenant_gateway.pod")


async def test_native_serves_the_mounted_config_and_follows_it(pod: Pod) -> None:
    content = pod.mount_config()
    async with pod.running(*NATIVE) as process:
        await pod.listening()
        assert pod.target.read_bytes() == content and not pod.target.is_symlink()
        assert pod.target.stat().st_mode & 0o777 == 0o600
        assert (pod.state / "home").is_dir()
        operator = await Operator(pod).open(token=TOKEN)
        changed = pod.mount_config(lambda config: config.update(ui={"assistant": {"name": "Bertha"}}))
        await eventually(lambda: pod.target.read_bytes() == changed, RELOAD_TIMEOUT)

        async def reloaded() -> bool:
            config = (await operator.call("config.get"))["config"]
            return bool(config.get("ui", {}).get("assistant", {}).get("name") == "Bertha")

        await eventually(reloaded, RELOAD_TIMEOUT)
        await operator.close()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), EXIT_TIMEOUT) == 0


async def test_the_same_bytes_leave_the_file_as_it_is(pod: Pod) -> None:
    content = pod.mount_config()
    pod.target.write_bytes(content)
    before = pod.target.stat()
    async with pod.running(*NATIVE):
        await pod.listening()
    after = pod.target.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.openclaw
@pytest.mark.timeout(2 * START_TIMEOUT + 2 * RELOAD_TIMEOUT + GRACE["openclaw"])
async def test_upstream_serves_the_mounted_config_and_follows_it(pod: Pod, openclaw: OpenClawRuntime) -> None:
    content = pod.mount_config()
    argv, environment = openclaw.cli(["gateway", "run"], {"OPENCLAW_POD": "1", "OPENCLAW_NO_RESPAWN": "1"})
    argv[1:1] = ["--require", str(PRELOAD)]
    async with pod.running(*argv, **environment) as process:
        await pod.listening()
        assert pod.target.read_bytes() == content and not pod.target.is_symlink()
        assert (pod.state / "home").is_dir()
        # It watches its config only from here on.
        await eventually(lambda: "[gateway] ready" in pod.log.read_text(), START_TIMEOUT)
        changed = pod.mount_config(lambda config: config.update(ui={"seamColor": "#FF4500"}))
        await eventually(lambda: pod.target.read_bytes() == changed, RELOAD_TIMEOUT)
        await eventually(lambda: "config change detected" in pod.log.read_text(), RELOAD_TIMEOUT)
        process.send_signal(signal.SIGTERM)
        # A moment after its start it may have work that it drains for minutes; the kubelet gives it as long.
        assert await asyncio.wait_for(process.wait(), GRACE["openclaw"]) == 0


def preloaded(openclaw: OpenClawRuntime, pod: Pod) -> list[str]:
    return [str(openclaw.node), "--require", str(PRELOAD), "-e", "process.exit(0)"]


def exit_code(argv: list[str] | tuple[str, ...], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        argv, env=environment, cwd=folder, capture_output=True, text=True, timeout=START_TIMEOUT, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("runtime", ["native", pytest.param("openclaw", marks=pytest.mark.openclaw)])
def test_without_a_mounted_config_nothing_starts(pod: Pod, runtime: str, request: pytest.FixtureRequest) -> None:
    argv = list(NATIVE) if runtime == "native" else preloaded(request.getfixturevalue("openclaw"), pod)
    environment = pod.environment() | {"OPENCLAW_POD": "1"}
    code, said = exit_code(argv, environment, pod.state)
    assert code == EXIT_CONFIG
    assert f"the config {pod.mount.file} can't be copied to {pod.target}" in said
    del environment["OPENCLAW_CONFIG_SOURCE"]
    code, said = exit_code(argv, environment, pod.state)
    assert code == EXIT_CONFIG
    assert "OPENCLAW_CONFIG_SOURCE and OPENCLAW_CONFIG_PATH must be set" in said


def test_a_copy_is_whole_or_not_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_bytes(b"one")
    assert copy_config(source, target)
    assert not copy_config(source, target)
    source.write_bytes(b"two")
    assert copy_config(source, target)
    assert target.read_bytes() == b"two"
    assert [entry.name for entry in target.parent.iterdir()] == ["target"]
    target.parent.chmod(0o500)
    source.write_bytes(b"three")
    if os.geteuid():
        with pytest.raises(PermissionError):
            copy_config(source, target)
        assert target.read_bytes() == b"two"


@pytest.mark.openclaw
@pytest.mark.parametrize("readable", [True, False], ids=["of this CPU", "of another"])
def test_upstream_takes_the_images_compile_cache_or_fills_its_own(
    pod: Pod, openclaw: OpenClawRuntime, readable: bool
) -> None:
    pod.mount_config()
    # A cache of another CPU has no folder for this one, and the image is read-only.
    in_image = openclaw.compile_cache if readable else Path("/sys/read-only")
    environment = pod.environment() | {
        "OPENCLAW_POD": "1",
        "OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED": "1",
        "OPENCLAW_IMAGE_COMPILE_CACHE": str(in_image),
        "NODE_DEBUG_NATIVE": "COMPILE_CACHE",
    }
    argv = [str(openclaw.node), "--require", str(PRELOAD), str(openclaw.entry), "--version"]

    def accepted() -> int:
        done = subprocess.run(
            argv, env=environment, cwd=pod.state, capture_output=True, text=True, timeout=START_TIMEOUT, check=True
        )
        return (done.stdout + done.stderr).count("was accepted")

    assert bool(accepted()) == readable
    assert (pod.state / "compile-cache").exists() != readable
    assert accepted()
