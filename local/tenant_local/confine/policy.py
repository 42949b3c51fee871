"""Which files and ports a gateway gets. Pure: it only looks at what exists."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tenant_api.egress import Egress

ALWAYS_CONNECT = (53, 80, 443)
"""TCP ports that agents may always connect to: DNS and the web."""
CONNECT_ANNOTATION = "openclaw-tenancy.dev/connect-ports"
"""Annotation of a TenantTemplate with further TCP ports, e.g. "22, 5432"."""

_ROOT_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    # How programs are found and linked.
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload"),
    # Names of hosts, services, users (without their passwords).
    *("gai.conf", "group", "host.conf", "hosts", "nsswitch.conf", "passwd", "protocols", "resolv.conf", "services"),
    # Whom to trust. Not ssl/private: as user 0 it could be read.
    *("ca-certificates", "crypto-policies", "pki/ca-trust/extracted", "pki/tls/cert.pem", "pki/tls/certs"),
    *("pki/tls/openssl.cnf", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf"),
    # What programs look up about the machine and its people's taste.
    *("bash.bashrc", "debian_version", "fonts", "gitconfig", "inputrc", "localtime", "magic", "mime.types"),
    *("os-release", "profile", "profile.d", "terminfo", "timezone"),
)
_PROC_WITHOUT_NAMESPACE = ("cpuinfo", "filesystems", "loadavg", "meminfo", "self", "stat", "sys", "uptime", "version")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


class PolicyError(Exception):
    """A template asks for something that can't be granted; the text says what."""


@dataclass(frozen=True, slots=True)
class View:
    """The files that a gateway sees."""

    read: Sequence[Path]
    write: Sequence[Path]
    tmp: Path
    """Its TMPDIR; one of what it may write."""
    stage: Path
    """Empty folder on which a root is built."""


def system_paths() -> tuple[Path, ...]:
    """Return the system's programs and libraries, and this Python's, as a gateway sees them."""
    paths = [Path("/usr")]
    paths += [Path(folder) for folder in _ROOT_FOLDERS if Path(folder).is_dir() and not Path(folder).is_symlink()]
    paths += [path for name in _ETC if (path := Path("/etc", name)).exists()]
    paths.append(Path(sys.base_prefix).resolve())
    return tuple(paths)


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths without those that lie beneath another one of them, parents first."""
    # Sorted by their parts, a folder stands right before all that lies beneath it; pathlib's own comparison takes 5 ms here.
    kept: list[tuple[str, ...]] = []
    for parts in sorted({path.parts for path in paths}):
        if not kept or parts[: len(kept[-1])] != kept[-1]:
            kept.append(parts)
    return [Path(*parts) for parts in kept]


def confine(
    view: View, *, namespaces: bool, bind: Sequence[int], connect: Sequence[int], program: bytes
) -> dict[str, Any]:
    """Return what `launch` has to do to itself, for `Plan.confine`.

    Parameters
    ----------
    bind, connect
        TCP ports.
    program
        The system call filter (`seccomp.build`).
    """
    read = [str(path) for path in outermost(path for path in view.read if path.exists())]
    write = [str(path) for path in (*view.write, view.tmp)]
    links = [(folder, str(Path(folder).readlink())) for folder in _ROOT_FOLDERS if Path(folder).is_symlink()]
    rules: dict[str, Any] = {"bind": list(bind), "connect": list(connect)}
    if namespaces:
        # The root holds nothing but the view, so reading all of it is right, and "ls /" works.
        rules |= {"read": ["/"], "write": [*write, "/tmp", "/dev/shm"], "devices": ["/dev"]}  # noqa: S108
    else:
        # No /proc/PID of others, where command lines would be readable; no terminal, which would be the operator's.
        rules |= {
            "read": [*read, *(folder for folder, _ in links), *(f"/proc/{name}" for name in _PROC_WITHOUT_NAMESPACE)],
            "write": write,
            "devices": list(_DEVICES),
        }
    beneath_tmp = any(path == "/tmp" or path.startswith("/tmp/") for path in (*read, *write))  # noqa: S108
    shown = {
        "stage": str(view.stage),
        "read": read,
        "write": [str(path) for path in outermost((*view.write, view.tmp))],
        "links": links,
        "temporary": None if beneath_tmp else str(view.tmp),
    }
    return {"view": shown if namespaces else None, "drop": True, "landlock": rules, "seccomp": program}


def connect_ports(
    config: Mapping[str, Any],
    annotations: Mapping[str, str],
    env: Mapping[str, str],
    forbidden: frozenset[int],
    egress: Iterable[Egress] = (),
) -> tuple[int, ...]:
    """Return the TCP ports that a gateway may connect to.

    That is DNS and the web, wherever its config has a `baseUrl` or a proxy, and what the template adds by its annotation or
    its egress, of which only the ports count: Landlock knows no addresses. A forbidden port is left out, whoever names it.

    Raises
    ------
    PolicyError
        The annotation is no list of ports.
    """
    ports = set(ALWAYS_CONNECT)
    for url in (*_urls(config), *(value for name, value in env.items() if name.lower().endswith("_proxy"))):
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443, "ws": 80, "wss": 443}.get(parts.scheme)
        except ValueError:
            continue
        if port is not None:
            ports.add(port)
    for word in annotations.get(CONNECT_ANNOTATION, "").replace(",", " ").split():
        if not (word.isascii() and word.isdigit() and 0 < int(word) < 65536):
            raise PolicyError(f'annotation {CONNECT_ANNOTATION}: {word!r} is no port; write e.g. "22, 5432"')
        ports.add(int(word))
    ports.update(one.port for one in egress)
    return tuple(sorted(ports - forbidden))


def _urls(node: Any) -> list[str]:
    """Return every value of a key `baseUrl`, `url` or `proxy` in a config (models.providers, mcp.servers, proxies)."""
    found: list[str] = []
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, Mapping):
            for key, value in item.items():
                if isinstance(value, str) and key in ("baseUrl", "url", "proxy"):
                    found.append(value)
                else:
                    stack.append(value)
        elif isinstance(item, list):
            stack.extend(item)
    return found
