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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tenant_api.kubernetes_names import GATEWAY_PORT
from tenant_api.variables import PREFIX, SettingsError, Variables

from ..settings import RouterSettings

ADMIN_PORT: Final = 18790
CONCURRENT_WAKES: Final = 16
"""Wakes at once on a replica: the controller manager's own pace is some 10 a second, and a wake takes 1 to 5 s."""
HANDOVER_SHARE: Final = 2 / 3
"""Share of the drain in which quiet clients are sent to the other replicas; the rest is for turns that still run."""


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
    variables = Variables(environ)
    namespaces, level = variables.namespaces(), variables.log_level()
    folder = variables.text("CONTROL_UI")
    if folder and not Path(folder).is_dir():
        raise SettingsError(f"{PREFIX}CONTROL_UI is {folder!r}, which is no folder")
    drain = variables.duration("DRAIN_TIMEOUT", "30s")
    return KubernetesSettings(
        namespaces,
        variables.master_key(),
        RouterSettings(
            listen=_address(variables, "LISTEN", f"0.0.0.0:{GATEWAY_PORT}"),
            admin=_address(variables, "ADMIN", f"0.0.0.0:{ADMIN_PORT}"),
            trusted_proxies=tuple(variables.networks("TRUSTED_PROXIES")),
            control_ui=Path(folder) if folder else None,
            drain_timeout=drain,
            handover=drain * HANDOVER_SHARE,
            max_concurrent_wakes=variables.number("MAX_CONCURRENT_WAKES", CONCURRENT_WAKES),
            max_queued_wakes=variables.number("MAX_QUEUED_WAKES", 1000),
        ),
        level,
    )


def _address(variables: Variables, name: str, default: str) -> tuple[str, int]:
    text = variables.text(name, default)
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: write host:port, e.g. {default}")
    return host.removeprefix("[").removesuffix("]"), int(port)
