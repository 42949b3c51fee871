"""From objects to rules, without a kernel: what is selected, and which text nft is given."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.netpol.ruleset import ruleset
from cluster.netpol.selection import Selection, known_pods, matches, policy_types
from cluster.pods import policy

NAMESPACES = [{"metadata": {"name": name, "labels": {"team": name}}} for name in ("a", "b")]


def running(name: str, ip: str, namespace: str = "a", created: str = "1", **more: Any) -> dict[str, Any]:
    labels = {"app": name}
    ports = [{"name": "web", "containerPort": 8080}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "creationTimestamp": created},
        "spec": {"containers": [{"ports": ports}], **more},
        "status": {"phase": "Running", "podIPs": [{"ip": ip}]},
    }


def in_a(name: str, **spec: Any) -> dict[str, Any]:
    made = policy(name, **spec)
    made["metadata"]["namespace"] = "a"
    return made


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "x"}}, True),
        ({"matchLabels": {"app": "y"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors(selector: dict[str, Any], selected: bool) -> None:
    assert matches(selector, {"app": "x"}) is selected


def test_unknown_operator_is_no_silent_match() -> None:
    with pytest.raises(ValueError, match="Near"):
        matches({"matchExpressions": [{"key": "app", "operator": "Near"}]}, {})


def test_policy_types_follow_what_is_written() -> None:
    assert policy_types({}) == ["Ingress"]
    assert policy_types({"egress": [{}]}) == ["Ingress", "Egress"]
    assert policy_types({"policyTypes": ["Egress"]}) == ["Egress"]


def test_finished_and_host_network_pods_hold_no_address_and_the_younger_wins() -> None:
    done = running("done", "10.0.0.1")
    done["status"]["phase"] = "Succeeded"
    pods = known_pods(
        [
            done,
            running("host", "10.0.0.2", hostNetwork=True),
            running("new", "10.0.0.3", created="2"),
            running("old", "10.0.0.3", created="1"),
        ]
    )
    assert [(str(ip), pod.labels["app"]) for ip, pod in pods.items()] == [("10.0.0.3", "new")]


def test_peer_of_both_selectors_is_their_intersection() -> None:
    pods = [running("x", "10.0.0.1"), running("x", "10.0.0.2", "b"), running("y", "10.0.0.3", "b")]
    selection = Selection(pods, NAMESPACES)
    peer = {"namespaceSelector": {"matchLabels": {"team": "b"}}, "podSelector": {"matchLabels": {"app": "x"}}}
    assert [str(pod.ip) for pod in selection.select_peer(peer, "a")] == ["10.0.0.2"]


def test_no_policy_no_rule() -> None:
    assert ruleset([running("x", "10.0.0.1")], NAMESPACES, []).splitlines() == [
        "table inet netpol",
        "delete table inet netpol",
        "table inet netpol {",
        "}",
    ]


def test_named_port_is_looked_up_and_unknown_addresses_are_closed() -> None:
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "y"}}}], "ports": [{"port": "web"}]}
    one = in_a("p", podSelector={"matchLabels": {"app": "x"}}, ingress=[rule])
    text = ruleset([running("x", "10.0.0.1"), running("y", "10.0.0.2")], NAMESPACES, [one])
    assert "ip saddr { 10.0.0.2 } ip daddr . tcp dport { 10.0.0.1 . 8080 } accept" in text
    assert "ip daddr { 10.0.0.1 } goto ingress-group-0" in text
    assert "ip daddr { 10.0.0.2 } accept" in text
    assert 'oifname "cni0" counter drop' in text


def test_block_with_exceptions() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.0.0.0/16"]}
    one = in_a("p", podSelector={}, policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])
    text = ruleset([running("x", "10.0.0.1")], NAMESPACES, [one])
    assert "ip daddr 10.0.0.0/8 ip daddr != 10.0.0.0/15 accept" in text
