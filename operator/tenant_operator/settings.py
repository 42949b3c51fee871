"""The operator's settings, from the environment.

| variable | means | default |
|---|---|---|
| OPENCLAW_TENANCY_NAMESPACES | namespaces of the tenants, comma separated | required |
| OPENCLAW_TENANCY_MASTER_KEY_FILE | file with the master key of identities, 32 bytes or more | required |
| OPENCLAW_TENANCY_ROUTER_ADMIN | admin ports of all router replicas: host:port, comma separated; a name (headless Service) \
stands for all its addresses | none: nobody is put to sleep |
| OPENCLAW_TENANCY_IMAGE_NATIVE | image of gateways of runtime native whose template names none | none |
| OPENCLAW_TENANCY_IMAGE_OPENCLAW | the same for runtime openclaw | none |
| OPENCLAW_TENANCY_ROUTER_NETWORKS | networks that routers dial from, comma separated | private networks |
| OPENCLAW_TENANCY_ROUTER_NAMESPACE | namespace of the router's pods, for the NetworkPolicies | the operator's own |
| OPENCLAW_TENANCY_ROUTER_LABELS | labels of the router's pods, `key=value`, comma separated | `ROUTER_LABELS` below |
| OPENCLAW_TENANCY_EGRESS | where gateways may go besides public HTTPS: CIDR:port, comma separated | none |
| OPENCLAW_TENANCY_DNS_NAMESPACE | namespace of the cluster's DNS | kube-system |
| OPENCLAW_TENANCY_LEASE_NAMESPACE | namespace of the Lease by which one operator leads | the operator's own |
| OPENCLAW_TENANCY_IDENTITY | name of this replica in the Lease | host name and a random part |
| OPENCLAW_TENANCY_HEALTH | host:port of /healthz, /readyz and /metrics | 0.0.0.0:18791 |
| OPENCLAW_TENANCY_WORKERS | tenants that are reconciled at once | 16 |
| OPENCLAW_TENANCY_POLL | time between two looks at the routers' activity | 5s |
| OPENCLAW_TENANCY_LOG_LEVEL | DEBUG, INFO, WARNING or ERROR | INFO |
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tenant_api.durations import parse_duration
from tenant_api.identity import MIN_MASTER_KEY

from .objects.network_policy import Egress, Traffic
from .objects.secret import GatewayDoor

PREFIX: Final = "OPENCLAW_TENANCY_"
HEALTH_PORT: Final = 18791
ROUTER_PORT: Final = 18790
"""Admin port of a router, where ROUTER_ADMIN names none."""
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ROUTER_LABELS: Final = "app.kubernetes.io/name=openclaw-tenancy,app.kubernetes.io/component=router"
ROUTER_NETWORKS: Final = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Pods have private addresses. Who comes from there needs the tenant's identity secret all the same."""
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """A variable is missing or wrong; the text names it and says what to write."""


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """What an operator is told."""

    namespaces: tuple[str, ...]
    door: GatewayDoor
    routers: tuple[tuple[str, int], ...]
    """Hosts and ports to ask; a host may stand for several addresses."""
    images: dict[str, str]
    """Image by runtime."""
    traffic: Traffic
    lease_namespace: str
    identity: str
    health: tuple[str, int]
    workers: int
    poll: float
    log_level: str


def read_settings(environ: Mapping[str, str]) -> OperatorSettings:
    """Return the settings.

    Raises
    ------
    SettingsError
        See there.
    """
    namespaces = tuple(dict.fromkeys(_list(environ, "NAMESPACES")))
    if not namespaces:
        raise SettingsError(f"{PREFIX}NAMESPACES is not set: name the namespaces of the tenants, comma separated")
    level = environ.get(f"{PREFIX}LOG_LEVEL", "INFO").upper()
    if level not in LEVELS:
        raise SettingsError(f"{PREFIX}LOG_LEVEL is {level!r}: write one of {', '.join(LEVELS)}")
    own = _own_namespace(namespaces[0])
    return OperatorSettings(
        namespaces=namespaces,
        door=GatewayDoor(_master_key(environ), tuple(_networks(environ))),
        routers=tuple(_address(part, "ROUTER_ADMIN", ROUTER_PORT) for part in _list(environ, "ROUTER_ADMIN")),
        images={
            runtime: image
            for runtime in ("native", "openclaw")
            if (image := environ.get(f"{PREFIX}IMAGE_{runtime.upper()}"))
        },
        traffic=Traffic(
            router_namespace=environ.get(f"{PREFIX}ROUTER_NAMESPACE") or own,
            router_labels=tuple(_labels(environ)),
            extra=tuple(_egress(part) for part in _list(environ, "EGRESS")),
            dns_namespace=environ.get(f"{PREFIX}DNS_NAMESPACE") or "kube-system",
        ),
        lease_namespace=environ.get(f"{PREFIX}LEASE_NAMESPACE") or own,
        identity=environ.get(f"{PREFIX}IDENTITY") or f"{socket.gethostname()}-{secrets.token_hex(4)}",
        health=_address(environ.get(f"{PREFIX}HEALTH") or f"0.0.0.0:{HEALTH_PORT}", "HEALTH", HEALTH_PORT),
        workers=_number(environ, "WORKERS", 16),
        poll=_duration(environ, "POLL", "5s"),
        log_level=level,
    )


def _own_namespace(default: str) -> str:
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or default
    except OSError:
        return default  # outside of a pod


def _list(environ: Mapping[str, str], name: str) -> list[str]:
    return [part.strip() for part in environ.get(PREFIX + name, "").split(",") if part.strip()]


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


def _networks(environ: Mapping[str, str]) -> list[str]:
    text = environ.get(f"{PREFIX}ROUTER_NETWORKS") or ROUTER_NETWORKS
    return [_network(part.strip(), "ROUTER_NETWORKS") for part in text.split(",") if part.strip()]


def _network(text: str, name: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{name}: {error}; write networks, e.g. 10.0.0.0/8") from None


def _labels(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for part in (environ.get(f"{PREFIX}ROUTER_LABELS") or ROUTER_LABELS).split(","):
        key, equals, value = part.strip().partition("=")
        if not key or not equals:
            raise SettingsError(f"{PREFIX}ROUTER_LABELS has {part!r}: write key=value, comma separated")
        found.append((key, value))
    return found


def _egress(text: str) -> Egress:
    network, _, port = text.rpartition(":")
    if not network or not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"{PREFIX}EGRESS has {text!r}: write network:port, e.g. 10.1.2.0/24:8080")
    return Egress(_network(network, "EGRESS"), int(port))


def _address(text: str, name: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: write host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


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
