"""Whose address is believed, and what a gateway is told."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_router.origin import MAX_TOLD, Origins, client_origin, gateway_headers

TRUSTED = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", b"198.51.100.7", "203.0.113.9"),  # nobody's proxy: the header is the client's own invention
        ("10.1.1.1", b"198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", b"6.6.6.6, 198.51.100.7", "198.51.100.7"),  # what stands before the last untrusted hop is hearsay
        ("10.1.1.1", b"198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.1.1.1", b"", "10.1.1.1"),
        ("10.1.1.1", b"nonsense", "10.1.1.1"),
    ],
)
def test_client_address(peer: str, forwarded: bytes, address: str) -> None:
    assert client_origin(peer, {b"x-forwarded-for": forwarded, b"host": b"gw"}, TRUSTED).address == address


def test_public_name_comes_from_the_proxy() -> None:
    headers = {b"host": b"inner", b"x-forwarded-host": b"gw.example.com", b"x-forwarded-proto": b"https"}
    origin = client_origin("10.1.1.1", headers, TRUSTED)
    assert (origin.proto, origin.host) == ("https", "gw.example.com")
    stranger = client_origin("203.0.113.9", headers, TRUSTED)
    assert (stranger.proto, stranger.host) == ("http", "inner")


@pytest.mark.parametrize("header", [b"x-forwarded-for", b"forwarded"])
def test_a_proxy_that_is_not_trusted_is_warned_of_once(header: bytes, caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins(TRUSTED)
    for _ in range(3):
        assert origins.of("192.168.7.7", {header: b"198.51.100.7"}).address == "192.168.7.7"
    (said,) = (record.getMessage() for record in caplog.records)
    for needed in ("192.168.7.7", "router.trustedProxies", "OPENCLAW_TENANCY_TRUSTED_PROXIES", "--trusted-proxy"):
        assert needed in said
    assert "198.51.100.7" not in said


def test_nobody_is_warned_of_a_trusted_proxy_or_of_a_client_without_one(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins(TRUSTED)
    assert origins.of("10.1.1.1", {b"x-forwarded-for": b"198.51.100.7"}).address == "198.51.100.7"
    assert origins.of("203.0.113.9", {b"host": b"gw"}).address == "203.0.113.9"
    assert caplog.records == []


def test_strangers_who_write_the_header_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    origins = Origins(())
    for number in range(100):
        origins.of(f"203.0.113.{number}", {b"x-forwarded-for": b"10.0.0.1"})
    assert len(caplog.records) == MAX_TOLD


def test_a_proxy_is_trusted_on_a_socket_of_both_families_too() -> None:
    origins = Origins(TRUSTED)
    assert origins.of("::ffff:10.1.1.1", {b"x-forwarded-for": b"198.51.100.7"}).address == "198.51.100.7"
    assert origins.of("::ffff:127.0.0.1", {}).loopback


@given(st.binary(max_size=60), st.binary(max_size=60), st.lists(st.text(max_size=20), max_size=4))
def test_no_header_can_be_smuggled(host: bytes, forwarded: bytes, scopes: list[str]) -> None:
    origin = client_origin("10.1.1.1", {b"host": host, b"x-forwarded-for": forwarded}, TRUSTED)
    for name, value in gateway_headers(origin, "alice.secret", tuple(scopes)).items():
        assert not set("\r\n\0") & set(name + value)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.88.0.7", "192.168.1.2", "100.64.3.4", "fd00::1", "::1"])
def test_a_client_without_a_public_address_is_somebody_to_the_gateway(address: str) -> None:
    """Upstream refuses loopback addresses and those of its trusted proxies, which are private networks in a cluster."""
    origin = client_origin(address, {}, ())
    assert gateway_headers(origin, "u", None)["X-Forwarded-For"] == "192.0.2.1"


def test_a_client_with_a_public_address_keeps_it() -> None:
    origin = client_origin("8.8.4.4", {}, ())
    assert gateway_headers(origin, "u", None)["X-Forwarded-For"] == "8.8.4.4"


def test_scopes_are_told_where_they_are_capped() -> None:
    origin = client_origin("127.0.0.1", {}, ())
    assert "x-openclaw-scopes" not in gateway_headers(origin, "u", None)
    assert gateway_headers(origin, "u", ("operator.read", "bad scope\r\n"))["x-openclaw-scopes"] == "operator.read"
