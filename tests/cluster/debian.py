"""containerd, runc and the CNI plugins from Debian's packages, unpacked beside the system and never installed.

The suite is newer than most machines' own, so the programs run with that suite's libraries. Also installs, by the
machine's own apt, the few tools that a node needs and that are missing.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from .errors import ClusterError
from .layout import Layout
from .programs import find, need, run
from .progress import Progress

# The first with containerd 2 and runc 1.3, which this Kubernetes wants.
SUITE = "forky"
PACKAGES = ("containerd", "runc", "containernetworking-plugins")
PROGRAMS = ("usr/bin/containerd", "usr/bin/ctr", "usr/bin/containerd-shim-runc-v2", "usr/sbin/runc")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = Path("/etc/apt/sources.list.d")
APT_SECONDS = 600.0
UNPACK_SECONDS = 60.0
# Programs that a node calls, and the packages that have them.
SYSTEM_TOOLS = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "mkfs.xfs": "xfsprogs",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "patchelf": "patchelf",
}
APT_HINT = "a scratch node needs Debian's apt and a reachable mirror; elsewhere use CLUSTER=kind or CLUSTER=existing"


def mirror() -> str:
    """The mirror that this machine already uses; raises ClusterError if it names none."""
    files = [*SOURCES.glob("*.sources"), *SOURCES.glob("*.list"), SOURCES.with_name("sources.list")]
    for file in files:
        if file.exists() and (
            found := re.search(r"^(?:URIs:|deb(?: \[.*\])?) +(\S+/debian/?)\s", file.read_text(), re.M)
        ):
            return found[1]
    raise ClusterError(f"no Debian mirror is named under {SOURCES}", APT_HINT)


def ensure(layout: Layout, progress: Progress) -> None:
    """Have the node's programs; nothing is fetched when all are there."""
    need("apt-get", APT_HINT)
    missing = sorted({package for program, package in SYSTEM_TOOLS.items() if not find(program)})
    if missing:
        with progress.step(f"Debian packages: {', '.join(missing)}", announce=True):
            run(["apt-get", "update", "-qq"], timeout=APT_SECONDS, hint=APT_HINT)
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
            run(install, timeout=APT_SECONDS, env={"DEBIAN_FRONTEND": "noninteractive"}, hint=APT_HINT)
    if not (layout.root / "containerd.from").exists():
        with progress.step(f"containerd, runc, CNI plugins from Debian {SUITE}", announce=True):
            _unpack(layout)
        (layout.root / "containerd.from").write_text(SUITE)


def _unpack(layout: Layout) -> None:
    apt, target = layout.root / "apt", layout.root / SUITE
    for archive in _download(apt):
        run(["dpkg-deb", "-x", archive, target], timeout=UNPACK_SECONDS)
    layout.bin.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        _install(target / program, layout.bin, target)
    shutil.rmtree(layout.cni_bin, ignore_errors=True)
    shutil.copytree(target / "usr/lib/cni", layout.cni_bin)
    shutil.rmtree(apt)


def _install(program: Path, directory: Path, root: Path) -> None:
    """Copy a program, bound to its own suite's loader and libraries; a static one needs neither."""
    copy = directory / program.name
    shutil.copy2(program, copy)
    libraries = root / "usr/lib" / f"{os.uname().machine}-linux-gnu"
    loader = next(libraries.glob("ld-linux-*.so.*"))
    patchelf = need("patchelf", "install Debian's package patchelf")
    if "INTERP" in run(["readelf", "--program-headers", copy], timeout=UNPACK_SECONDS):
        options: list[str | Path] = ["--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries]
        run([patchelf, *options, copy], timeout=UNPACK_SECONDS)


def _download(apt: Path) -> list[Path]:
    """The packages and all that they depend on, by an apt that knows one suite and has nothing installed."""
    shutil.rmtree(apt, ignore_errors=True)
    for directory in ("etc", "lists/partial", "archives/partial"):
        (apt / directory).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    settings = {
        "Dir::Etc::sourcelist": apt / "etc/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache::archives": apt / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
    }
    options = ["-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    run(["apt-get", *options, "update"], timeout=APT_SECONDS, hint=APT_HINT)
    fetch = ["-y", "--download-only", "--no-install-recommends", "install", *PACKAGES]
    run(["apt-get", *options, *fetch], timeout=APT_SECONDS, hint=APT_HINT)
    return sorted((apt / "archives").glob("*.deb"))
