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
