"""Destinations: one notation, and none of them opens what hands out a cloud's credentials."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from tenant_api.egress import PATTERN, Egress, NoEgress, parse_egress
from tenant_api.template import TenantTemplate
from tenant_api.validation import findings


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("10.1.2.0/24:8080", "10.1.2.0/24", 8080),
        ("10.96.0.42/32:8000", "10.96.0.42/32", 8000),
        ("203.0.113.7/32:65535", "203.0.113.7/32", 65535),
        ("fd12:3456::/48:1", "fd12:3456::/48", 1),
        ("10.0.0.0/8:443", "10.0.0.0/8", 443),
    ],
)
def test_read(text: str, network: str, port: int) -> None:
    assert parse_egress(text) == Egress(network, port)
    assert re.match(PATTERN, text)


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.0/8", "10.0.0.1:80", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/33:1", "llm/32:80", "1.2.3.4/32:²", "fd00::1:80"],
)  # fmt: skip
def test_what_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(NoEgress, match=r"write e\.g\. 10\.1\.2\.0/24:8080"):
        parse_egress(text)


def test_bits_behind_the_prefix_are_refused_with_what_to_write() -> None:
    with pytest.raises(NoEgress, match=r"write 10.1.2.0/24:80, or /32 for one"):
        parse_egress("10.1.2.3/24:80")


@pytest.mark.parametrize(
    "network",
    [
        "169.254.169.254/32",
        "169.254.0.0/16",
        "169.254.0.0/15",
        "168.0.0.0/6",
        "0.0.0.0/0",
        "::/0",
        "fd00:ec2::254/128",
        "fd00::/8",
        "fc00::/7",
        "fe80::/64",
        "::ffff:a9fe:a9fe/128",
        "64:ff9b::a9fe:a9fe/128",
        "100.100.100.200/32",
        "100.64.0.0/10",
        "168.63.129.16/32",
    ],
)
def test_metadata_addresses_stay_closed(network: str) -> None:
    with pytest.raises(NoEgress, match="clouds hand out their credentials: name the network of the server"):
        parse_egress(f"{network}:80")


def test_a_template_says_which_entry_is_wrong() -> None:
    spec = {"version": "1", "egress": ["10.1.2.0/24:8080", "169.254.169.254/32:80"]}
    with pytest.raises(ValidationError) as failed:
        TenantTemplate.model_validate({"metadata": {"name": "a"}, "spec": spec})
    said = str(next(findings(failed.value, TenantTemplate)))
    assert said.startswith("spec.egress[1]: opens 169.254.0.0/16, from where clouds hand out their credentials (name")


def test_an_address_of_a_destination() -> None:
    assert Egress("10.0.0.0/8", 443).holds("10.96.0.1", 443)
    assert not Egress("10.0.0.0/8", 443).holds("10.96.0.1", 6443)
    assert not Egress("10.0.0.0/8", 443).holds("fd00::1", 443)
