"""The NetworkPolicies of a namespace and of a template, whole."""

from __future__ import annotations

import pytest
from unstamped import unstamped

from tenant_api.egress import Egress
from tenant_api.template import TenantTemplate
from tenant_operator.objects.network_policy import (
    PRIVATE_V4,
    PRIVATE_V6,
    Traffic,
    build_network_policy,
    build_template_policy,
)


def test_network_policy() -> None:
    traffic = Traffic("system", (("app", "router"),), (Egress("10.1.2.0/24", 8080),), "dns")
    assert unstamped(build_network_policy(traffic))["spec"] == {
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/managed-by": "openclaw-tenancy"},
            "matchExpressions": [
                {"key": "app.kubernetes.io/component", "operator": "In", "values": ["gateway", "prebind"]}
            ],
        },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "system"}},
                        "podSelector": {"matchLabels": {"app": "router"}},
                    }
                ],
                "ports": [{"protocol": "TCP", "port": 18789}],
            }
        ],
        "egress": [
            {
                "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}],
                "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
            },
            {
                "to": [
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_V4)}},
                    {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_V6)}},
                ],
                "ports": [{"protocol": "TCP", "port": 443}],
            },
            {"to": [{"ipBlock": {"cidr": "10.1.2.0/24"}}], "ports": [{"protocol": "TCP", "port": 8080}]},
        ],
    }


def test_api_server_is_closed_where_all_the_rest_is_open() -> None:
    traffic = Traffic("system", (), (Egress("198.51.100.0/24", 6443), Egress("198.51.100.0/24", 8080)))
    # Its Service and its node have private addresses, which are closed anyway; of the rest the order does not matter.
    servers = [
        ("203.0.113.70", 443),
        ("203.0.113.7", 443),
        ("::ffff:203.0.113.7", 443),
        ("198.51.100.3", 6443),
        ("10.96.0.1", 443),
        ("127.0.0.1", 6443),
        ("::1", 6443),
        ("2001:db8::7", 443),
        ("fd00::1", 443),
    ]
    made = build_network_policy(traffic, servers)
    _, public, *extra = made["spec"]["egress"]
    v4, v6 = (one["ipBlock"]["except"] for one in public["to"])
    assert v4 == [*PRIVATE_V4, "198.51.100.3/32", "203.0.113.7/32", "203.0.113.70/32"]
    assert v6 == [*PRIVATE_V6, "2001:db8::7/128"]
    assert [rule["ports"][0]["port"] for rule in extra] == [8080]
    assert build_network_policy(traffic, reversed(servers)) == made


def test_dns_of_other_ports_and_on_the_node() -> None:
    traffic = Traffic("system", (), (), "openshift-dns", (53, 5353), ("169.254.20.10/32", "fd00:10::a/128"))
    pods, caches, public = build_network_policy(traffic)["spec"]["egress"]
    both = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert pods == {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}],
        "ports": [*both, {"protocol": "UDP", "port": 5353}, {"protocol": "TCP", "port": 5353}],
    }
    assert caches == {
        "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}, {"ipBlock": {"cidr": "fd00:10::a/128"}}],
        "ports": both,
    }
    assert public["ports"] == [{"protocol": "TCP", "port": 443}]


@pytest.mark.parametrize("name", ["standard", "t" * 63])
def test_template_policy(name: str) -> None:
    made = build_template_policy(
        TenantTemplate.model_validate(
            {
                "metadata": {"name": name, "uid": "uid-2"},
                "spec": {"version": "3", "egress": ["10.1.2.0/24:8080", "fd12:3456::/48:5432"]},
            }
        )
    )
    assert unstamped(made) == {
        "metadata": {
            "name": f"openclaw-gateways-{name}",
            "labels": {
                "app.kubernetes.io/managed-by": "openclaw-tenancy",
                "app.kubernetes.io/component": "gateway-namespace",
                "openclaw-tenancy.dev/template": name,
            },
            "ownerReferences": [
                {
                    "apiVersion": "openclaw-tenancy.dev/v1alpha1",
                    "kind": "TenantTemplate",
                    "name": name,
                    "uid": "uid-2",
                    "controller": True,
                }
            ],
        },
        "spec": {
            "podSelector": {
                "matchLabels": {
                    "app.kubernetes.io/managed-by": "openclaw-tenancy",
                    "app.kubernetes.io/component": "gateway",
                    "openclaw-tenancy.dev/template": name,
                }
            },
            "policyTypes": ["Egress"],
            "egress": [
                {"to": [{"ipBlock": {"cidr": "10.1.2.0/24"}}], "ports": [{"protocol": "TCP", "port": 8080}]},
                {"to": [{"ipBlock": {"cidr": "fd12:3456::/48"}}], "ports": [{"protocol": "TCP", "port": 5432}]},
            ],
        },
    }
