"""The router's settings in a cluster, from the environment.

| variable | means | default |
|---|---|---|
| OPENCLAW_TENANCY_NAMESPACES | namespaces of the tenants, comma separated | required |
| OPENCLAW_TENANCY_MASTER_KEY_FILE | file with the master key of identities, 32 bytes or more | required |
| OPENCLAW_TENANCY_LISTEN | host:port for clients | 0.0.0.0:18789 |
| OPENCLAW_TENANCY_ADMIN | host:port for health, metrics, activity, why | 0.0.0.0:18790 |
| OPENCLAW_TENANCY_TRUSTED_PROXIES | networks whose X-Forwarded-* are believed, comma separated | none |
| OPENCLAW_TENANCY_CONTROL_UI | folder of the Control UI's static files | not served |
| OPENCLAW_TENANCY_DRAIN_TIMEOUT | from SIGTERM until what is left is dropped, e.g. 30s | 30s |
| OPENCLAW_TENANCY_MAX_CONCURRENT_WAKES | wakes at once, on this replica | 16 |
| OPENCLAW_TENANCY_MAX_QUEUED_WAKES | wakes that wait for their turn | 1000 |
| OPENCLAW_TENANCY_LOG_LEVEL | DEBUG, INFO, WARNING or ERROR | INFO |
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tenant_api.durations import parse_duration
from tenant_api.identity import MIN_MASTER_KEY
from tenant_api.kubernetes_names import GATEWAY_PORT

from ..settings import RouterSettings

PREFIX: Final = "OPENCLAW_TENANCY_"
ADMIN_PORT: Final = 18790
CONCURRENT_WAKES: Final = 16
"""Wakes at once on a replica: the controller manager's own pace is some 10 a second, and a wake takes 1 to 5 s."""
HANDOVER_SHARE: Final = 2 / 3
"""Share of the drain in which quiet clients are sent to the other replicas; the rest is for turns that still run."""
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """A variable is missing or wrong; the text names it and says what to write."""


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """What a router in a cluster is told."""

    namespaces: tuple[str, ...]
    master_key: bytes
    router: RouterSettings
    log_level: str


def read_settings(environ: Mapping[str, str]) -> KubernetesSettings:
    """Return the settings.

    Raises
    ------
    SettingsError
        See there.
    """
    namespaces = tuple(
        dict.fromkeys(part.strip() for part in environ.get(f"{PREFIX}NAMESPACES", "").split(",") if part.strip())
    )
    if not namespaces:
        raise SettingsError(f"{PREFIX}NAMESPACES is not set: name the namespaces of the tenants, comma separated")
    level = environ.get(f"{PREFIX}LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise SettingsError(f"{PREFIX}LOG_LEVEL is {level!r}: write one of {', '.join(LEVELS)}")
    folder = environ.get(f"{PREFIX}CONTROL_UI")
    if folder and not Path(folder).is_dir():
        raise SettingsError(f"{PREFIX}CONTROL_UI is {folder!r}, which is no folder")
    drain = _duration(environ, "DRAIN_TIMEOUT", "30s")
    return KubernetesSettings(
        namespaces,
        _master_key(environ),
        RouterSettings(
            listen=_address(environ, "LISTEN", f"0.0.0.0:{GATEWAY_PORT}"),
            admin=_address(environ, "ADMIN", f"0.0.0.0:{ADMIN_PORT}"),
            trusted_proxies=tuple(_networks(environ)),
            control_ui=Path(folder) if folder else None,
            drain_timeout=drain,
            handover=drain * HANDOVER_SHARE,
            max_concurrent_wakes=_number(environ, "MAX_CONCURRENT_WAKES", CONCURRENT_WAKES),
            max_queued_wakes=_number(environ, "MAX_QUEUED_WAKES", 1000),
        ),
        level,
    )


def _master_key(environ: Mapping[str, str]) -> bytes:
    name = f"{PREFIX}MASTER_KEY_FILE"
    file = environ.get(name)
    if not file:
        raise SettingsError(f"{name} is not set: name the file with the master key of identities")
    try:
        key = Path(file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: {file} can't be read: {error.strerror}") from None
    if len(key) < MIN_MASTER_KEY:
        raise SettingsError(f"{name}: {file} has {len(key)} bytes; the key needs {MIN_MASTER_KEY} or more")
    return key


def _address(environ: Mapping[str, str], name: str, default: str) -> tuple[str, int]:
    text = environ.get(PREFIX + name) or default
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: write host:port, e.g. {default}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _networks(environ: Mapping[str, str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for part in environ.get(f"{PREFIX}TRUSTED_PROXIES", "").split(","):
        if not part.strip():
            continue
        try:
            found.append(ipaddress.ip_network(part.strip()))
        except ValueError as error:
            raise SettingsError(f"{PREFIX}TRUSTED_PROXIES: {error}; write networks, e.g. 10.0.0.0/8") from None
    return found


def _duration(environ: Mapping[str, str], name: str, default: str) -> float:
    text = environ.get(PREFIX + name) or default
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{name} is {text!r}, which {error}") from None


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(PREFIX + name) or str(default)
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: write a whole number from 1 up")
    return int(text)
