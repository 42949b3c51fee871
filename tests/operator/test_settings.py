from __future__ import annotations

from pathlib import Path

import pytest

from tenant_api.egress import Egress
from tenant_api.variables import PREFIX, SettingsError
from tenant_operator.settings import check_egress, read_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    return {f"{PREFIX}NAMESPACES": "a, b,a", f"{PREFIX}MASTER_KEY_FILE": str(key)}


def test_defaults(environ: dict[str, str]) -> None:
    settings = read_settings(environ)
    assert settings.namespaces == ("a", "b")
    assert (settings.routers, settings.images, settings.pull_secrets) == ((), {}, ())
    assert (settings.traffic.dns_ports, settings.traffic.dns_addresses) == ((53,), ())
    assert settings.health == ("0.0.0.0", 18791)
    assert settings.poll == 5.0
    assert dict(settings.traffic.router_labels)["app.kubernetes.io/component"] == "router"
    assert "kkkk" not in repr(settings)


def test_everything_said(environ: dict[str, str]) -> None:
    said = {
        "ROUTER_ADMIN": "router-admin:18790, 10.0.0.1, [fd00::1]:9",
        "IMAGE_NATIVE": "r/gateway:1",
        "ROUTER_NAMESPACE": "system",
        "ROUTER_LABELS": "app=router",
        "ROUTER_NETWORKS": "10.1.0.0/16",
        "EGRESS": "10.1.2.0/24:8080",
        "APISERVER_ADDRESSES": "203.0.113.7, [2001:db8:0::7]:6443",
        "DNS_PORTS": "53, 5353",
        "DNS_ADDRESSES": "169.254.20.10/32, fd00:10::/64",
        "IMAGE_PULL_SECRETS": "registry, mirror.example, registry",
        "HEALTH": "127.0.0.1:1",
        "POLL": "250ms",
        "WORKERS": "3",
        "IDENTITY": "me",
        "LEASE_NAMESPACE": "system",
    }
    settings = read_settings({**environ, **{PREFIX + name: value for name, value in said.items()}})
    assert settings.routers == (("router-admin", 18790), ("10.0.0.1", 18790), ("fd00::1", 9))
    assert settings.images == {"native": "r/gateway:1"}
    assert settings.traffic.extra == (Egress("10.1.2.0/24", 8080),)
    assert settings.traffic.dns_ports == (53, 5353)
    assert settings.traffic.dns_addresses == ("169.254.20.10/32", "fd00:10::/64")
    assert settings.pull_secrets == ("registry", "mirror.example")
    assert settings.apiserver == (("203.0.113.7", 443), ("2001:db8::7", 6443))
    assert settings.door.router_networks == ("10.1.0.0/16",)
    assert (settings.identity, settings.lease_namespace, settings.workers) == ("me", "system", 3)


def test_empty_is_not_set(environ: dict[str, str]) -> None:
    environ[f"{PREFIX}IDENTITY"] = "me"
    empty = dict.fromkeys(("ROUTER_ADMIN", "HEALTH", "POLL", "WORKERS", "LOG_LEVEL", "LEASE_NAMESPACE", "EGRESS"), "")
    assert read_settings({**environ, **{PREFIX + name: value for name, value in empty.items()}}) == read_settings(
        environ
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NAMESPACES", " ,"),
        ("MASTER_KEY_FILE", ""),
        ("MASTER_KEY_FILE", "/no/such/file"),
        ("ROUTER_ADMIN", "host:port"),
        ("ROUTER_NETWORKS", "10.0.0.1/8"),
        ("ROUTER_LABELS", "router"),
        ("EGRESS", "10.0.0.0/8"),
        ("EGRESS", "10.0.0.0/8:0"),
        ("EGRESS", "169.254.169.254/32:80"),
        ("APISERVER_ADDRESSES", "api.example.com:443"),
        ("APISERVER_ADDRESSES", "203.0.113.7:https"),
        ("DNS_PORTS", "dns"),
        ("DNS_PORTS", "53,0"),
        ("DNS_PORTS", "65536"),
        ("DNS_ADDRESSES", "169.254.20.10/24"),
        ("DNS_ADDRESSES", "169.254.20.0/24"),
        ("DNS_ADDRESSES", "0.0.0.0/0"),
        ("DNS_ADDRESSES", "fe80::/64"),
        ("DNS_ADDRESSES", "node-local"),
        ("IMAGE_PULL_SECRETS", "registry,Registry"),
        ("IMAGE_PULL_SECRETS", "my_registry"),
        ("IMAGE_PULL_SECRETS", "-registry"),
        ("IMAGE_PULL_SECRETS", "r" * 254),
        ("POLL", "5"),
        ("WORKERS", "0"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{PREFIX}{name}"):
        read_settings({**environ, PREFIX + name: value})


def test_short_master_key_is_refused(environ: dict[str, str]) -> None:
    Path(environ[f"{PREFIX}MASTER_KEY_FILE"]).write_bytes(b"short")
    with pytest.raises(SettingsError, match="5 bytes"):
        read_settings(environ)


def test_egress_that_opens_the_api_server_is_refused_with_its_entry(environ: dict[str, str]) -> None:
    traffic = read_settings({**environ, f"{PREFIX}EGRESS": "10.1.2.0/24:8080,10.96.0.0/16:443"}).traffic
    check_egress(traffic, frozenset({("10.96.0.1", 6443), ("203.0.113.7", 443), ("2001:db8::7", 443)}))
    with pytest.raises(SettingsError, match=f"{PREFIX}EGRESS has '10.96.0.0/16:443', .*10.96.0.1 port 443"):
        check_egress(traffic, frozenset({("10.96.0.1", 443)}))
