"""The NetworkPolicies of a namespace of tenants: only the router comes in; out goes what a model provider needs.

Never to other tenants, to the API server or to the cloud's metadata addresses: these are private or link-local, and no
private address is open unless it is named, by the operator's setting for all or by a template for its own tenants. An API
server on a public address is left out of what is public, as far as its addresses are known.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tenant_api.egress import Egress, parse_egress
from tenant_api.kubernetes_names import (
    COMPONENT_LABEL,
    GATEWAY,
    GATEWAY_PORT,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    TEMPLATE_LABEL,
)
from tenant_api.schema import API_VERSION
from tenant_api.template import TenantTemplate

from ..apiserver.resources import Json
from .marks import stamped
from .service_account import namespace_labels

GATEWAY_POLICY: Final = "openclaw-gateways"
"""Name of the policy in each namespace of tenants."""
DNS_PORT: Final = 53
PREBIND: Final = "prebind"
"""Component of the one-off pods that bind volumes; the same policy holds them."""

PRIVATE_V4: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Addresses that are nobody's on the internet (RFC 6890): pods, Services, nodes and metadata services have such ones."""
PRIVATE_V6: Final = ("fc00::/7", "fe80::/10", "ff00::/8")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Who comes in and where gateways may go: the same in all namespaces."""

    router_namespace: str
    router_labels: tuple[tuple[str, str], ...]
    extra: tuple[Egress, ...] = ()
    dns_namespace: str = "kube-system"
    dns_ports: tuple[int, ...] = (DNS_PORT,)
    """Of the DNS pods: network plugins look at a packet after the Service's port has been replaced by a pod's."""
    dns_addresses: tuple[str, ...] = ()
    """Networks of DNS caches that are no pods of that namespace to a policy, such as one on each node; their port is 53."""


def build_network_policy(traffic: Traffic, apiserver: Iterable[tuple[str, int]] = ()) -> Json:
    """Return the policy, stamped.

    Parameters
    ----------
    apiserver
        Addresses and ports of the API server: neither public HTTPS nor what the operator is told leads there.
    """
    closed = sorted(apiserver)
    closed_v4, closed_v6 = _public(host for host, _ in closed)
    router = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": traffic.router_namespace}},
        "podSelector": {"matchLabels": dict(traffic.router_labels)},
    }
    dns = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": traffic.dns_namespace}}}
    caches = []
    if traffic.dns_addresses:
        blocks = [{"ipBlock": {"cidr": network}} for network in traffic.dns_addresses]
        caches.append({"to": blocks, "ports": _dns(DNS_PORT)})
    return stamped(
        {
            "metadata": {"name": GATEWAY_POLICY, "labels": namespace_labels()},
            "spec": {
                "podSelector": {
                    "matchLabels": {MANAGED_BY_LABEL: MANAGED_BY},
                    "matchExpressions": [{"key": COMPONENT_LABEL, "operator": "In", "values": [GATEWAY, PREBIND]}],
                },
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": [router], "ports": [_port(GATEWAY_PORT)]}],
                "egress": [
                    {"to": [dns], "ports": [port for number in traffic.dns_ports for port in _dns(number)]},
                    *caches,
                    {
                        "to": [
                            {"ipBlock": {"cidr": "0.0.0.0/0", "except": [*PRIVATE_V4, *closed_v4]}},
                            {"ipBlock": {"cidr": "::/0", "except": [*PRIVATE_V6, *closed_v6]}},
                        ],
                        "ports": [_port(443)],
                    },
                    *(_open(one) for one in traffic.extra if not any(one.holds(*address) for address in closed)),
                ],
            },
        }
    )


def template_policy_name(template: str) -> str:
    """Return the name of the policy of a template's tenants. May pass 63 characters, which this kind allows."""
    return f"{GATEWAY_POLICY}-{template}"


def build_template_policy(template: TenantTemplate) -> Json:
    """Return the policy that opens to a template's tenants what the template names, stamped.

    Policies add up, so it says only what is open besides. The label by which it finds pods is on them from their start,
    so it holds for pods that run. It goes with its template.
    """
    owner = {
        "apiVersion": API_VERSION,
        "kind": "TenantTemplate",
        "name": template.name,
        "uid": template.metadata.uid,
        "controller": True,
    }
    return stamped(
        {
            "metadata": {
                "name": template_policy_name(template.name),
                "labels": {**namespace_labels(), TEMPLATE_LABEL: template.name},
                "ownerReferences": [owner],
            },
            "spec": {
                "podSelector": {
                    "matchLabels": {
                        MANAGED_BY_LABEL: MANAGED_BY,
                        COMPONENT_LABEL: GATEWAY,
                        TEMPLATE_LABEL: template.name,
                    }
                },
                "policyTypes": ["Egress"],
                "egress": [_open(parse_egress(text)) for text in template.spec.egress],
            },
        }
    )


def _public(hosts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return addresses of IPv4 and IPv6 that are not closed anyway, as networks, in an order that does not change."""
    closed = [ipaddress.ip_network(text) for text in (*PRIVATE_V4, *PRIVATE_V6, "::1/128")]
    found: dict[int, set[int]] = {4: set(), 6: set()}
    for host in hosts:
        address = ipaddress.ip_address(host)
        address = getattr(address, "ipv4_mapped", None) or address
        if not any(address in network for network in closed):
            found[address.version].add(int(address))
    v4 = [f"{ipaddress.IPv4Address(number)}/32" for number in sorted(found[4])]
    v6 = [f"{ipaddress.IPv6Address(number)}/128" for number in sorted(found[6])]
    return v4, v6


def _open(one: Egress) -> Json:
    return {"to": [{"ipBlock": {"cidr": one.network}}], "ports": [_port(one.port)]}


def _dns(port: int) -> list[Json]:
    return [_port(port, "UDP"), _port(port)]


def _port(port: int, protocol: str = "TCP") -> Json:
    return {"protocol": protocol, "port": port}
