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
| OPENCLAW_TENANCY_EGRESS | where all gateways may go besides public HTTPS: CIDR:port, comma separated | none |
| OPENCLAW_TENANCY_APISERVER_ADDRESSES | addresses of the API server that gateways never reach, besides those that the \
operator learns from it: address:port, comma separated | none |
| OPENCLAW_TENANCY_DNS_NAMESPACE | namespace of the cluster's DNS | kube-system |
| OPENCLAW_TENANCY_DNS_PORTS | ports of its pods, comma separated (OpenShift: 5353) | 53 |
| OPENCLAW_TENANCY_DNS_ADDRESSES | networks of node-local DNS caches, whose port is 53, comma separated: 169.254.20.10/32 | none |
| OPENCLAW_TENANCY_IMAGE_PULL_SECRETS | Secrets in each namespace of tenants by which gateways' images are pulled, comma \
separated | none |
| OPENCLAW_TENANCY_LEASE_NAMESPACE | namespace of the Lease by which one operator leads | the operator's own |
| OPENCLAW_TENANCY_IDENTITY | name of this replica in the Lease | host name and a random part |
| OPENCLAW_TENANCY_HEALTH | host:port of /healthz, /readyz and /metrics | 0.0.0.0:18791 |
| OPENCLAW_TENANCY_WORKERS | tenants that are reconciled at once | 16 |
| OPENCLAW_TENANCY_POLL | time between two looks at the routers' activity | 5s |
| OPENCLAW_TENANCY_LOG_LEVEL | DEBUG, INFO, WARNING or ERROR | INFO |
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tenant_api.egress import NEVER_OPEN, Egress, NoEgress, parse_egress
from tenant_api.variables import PREFIX, SettingsError, Variables

from .objects.network_policy import DNS_PORT, Traffic
from .objects.secret import GatewayDoor

MAX_NAME: Final = 253
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""A DNS subdomain, as Kubernetes names objects (RFC 1123)."""
HEALTH_PORT: Final = 18791
ROUTER_PORT: Final = 18790
"""Admin port of a router, where ROUTER_ADMIN names none."""
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
ROUTER_LABELS: Final = "app.kubernetes.io/name=openclaw-tenancy,app.kubernetes.io/component=router"
ROUTER_NETWORKS: Final = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Pods have private addresses. Who comes from there needs the tenant's identity secret all the same."""


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """What an operator is told."""

    namespaces: tuple[str, ...]
    door: GatewayDoor
    routers: tuple[tuple[str, int], ...]
    """Hosts and ports to ask; a host may stand for several addresses."""
    images: dict[str, str]
    """Image by runtime."""
    pull_secrets: tuple[str, ...]
    """Names of Secrets by which gateways' images are pulled."""
    traffic: Traffic
    apiserver: tuple[tuple[str, int], ...]
    """Addresses of the API server that it does not tell by itself."""
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
    variables = Variables(environ)
    namespaces, level = variables.namespaces(), variables.log_level()
    own = _own_namespace(namespaces[0])
    return OperatorSettings(
        namespaces=namespaces,
        door=GatewayDoor(
            variables.master_key(), tuple(map(str, variables.networks("ROUTER_NETWORKS", ROUTER_NETWORKS)))
        ),
        routers=tuple(_address(part, "ROUTER_ADMIN", ROUTER_PORT) for part in variables.items("ROUTER_ADMIN")),
        images={
            runtime: image
            for runtime in ("native", "openclaw")
            if (image := variables.text(f"IMAGE_{runtime.upper()}"))
        },
        pull_secrets=_secrets(variables),
        traffic=Traffic(
            router_namespace=variables.text("ROUTER_NAMESPACE", own),
            router_labels=tuple(_labels(variables)),
            extra=tuple(_egress(part) for part in variables.items("EGRESS")),
            dns_namespace=variables.text("DNS_NAMESPACE", "kube-system"),
            dns_ports=_ports(variables, "DNS_PORTS", str(DNS_PORT)),
            dns_addresses=_dns_addresses(variables),
        ),
        apiserver=tuple(_digits(part, "APISERVER_ADDRESSES") for part in variables.items("APISERVER_ADDRESSES")),
        lease_namespace=variables.text("LEASE_NAMESPACE", own),
        identity=variables.text("IDENTITY", f"{socket.gethostname()}-{secrets.token_hex(4)}"),
        health=_address(variables.text("HEALTH", f"0.0.0.0:{HEALTH_PORT}"), "HEALTH", HEALTH_PORT),
        workers=variables.number("WORKERS", 16),
        poll=variables.duration("POLL", "5s"),
        log_level=level,
    )


def _own_namespace(default: str) -> str:
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or default
    except OSError:
        return default  # outside of a pod


def _labels(variables: Variables) -> list[tuple[str, str]]:
    found = []
    for part in variables.text("ROUTER_LABELS", ROUTER_LABELS).split(","):
        key, equals, value = part.strip().partition("=")
        if not key or not equals:
            raise SettingsError(f"{PREFIX}ROUTER_LABELS has {part!r}: write key=value, comma separated")
        found.append((key, value))
    return found


def _secrets(variables: Variables) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(variables.items("IMAGE_PULL_SECRETS")))
    for name in found:
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            raise SettingsError(
                f"{PREFIX}IMAGE_PULL_SECRETS has {name!r}, which is no name of a Secret: write lower-case letters, digits, "
                "'-' and '.', comma separated"
            )
    return found


def _ports(variables: Variables, name: str, default: str) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(variables.items(name, default)))
    for text in found:
        if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
            raise SettingsError(f"{PREFIX}{name} has {text!r}: write ports, e.g. 53,5353")
    return tuple(map(int, found))


def _dns_addresses(variables: Variables) -> tuple[str, ...]:
    found = variables.networks("DNS_ADDRESSES")
    for one in found:
        for closed in NEVER_OPEN:
            if closed.version == one.version and closed.overlaps(one) and one.num_addresses > 1:
                raise SettingsError(
                    f"{PREFIX}DNS_ADDRESSES has '{one}', which is more than one address of or around {closed}, from where "
                    f"clouds hand out their credentials: name the cache's own address with /{one.max_prefixlen}"
                )
    return tuple(dict.fromkeys(map(str, found)))


def _egress(text: str) -> Egress:
    try:
        return parse_egress(text)
    except NoEgress as error:
        raise SettingsError(f"{PREFIX}EGRESS has {text!r}, which {error}") from None


def check_egress(traffic: Traffic, apiserver: frozenset[tuple[str, int]]) -> None:
    """Refuse an EGRESS that opens the API server, whose addresses are only known once it was asked.

    Raises
    ------
    SettingsError
        It does.
    """
    for one in traffic.extra:
        for host, port in sorted(apiserver):
            if one.holds(host, port):
                raise SettingsError(
                    f"{PREFIX}EGRESS has '{one.network}:{one.port}', which opens the API server at {host} port {port} to all "
                    "gateways: name the network of the server that is meant, and no more"
                )


def _digits(text: str, name: str) -> tuple[str, int]:
    host, port = _address(text, name, 443)
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        raise SettingsError(
            f"{PREFIX}{name} has {text!r}: write address:port, e.g. 203.0.113.7:443 or [2001:db8::7]:443"
        ) from None


def _address(text: str, name: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: write host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
