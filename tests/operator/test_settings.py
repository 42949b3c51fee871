from __future__ import annotations

from pathlib import Path

import pytest

from tenant_api.egress import Egress
from tenant_api.variables import PREFIX, SettingsError
from tenant_operator.settings import read_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    return {f"{PREFIX}NAMESPACES": "a, b,a", f"{PREFIX}MASTER_KEY_FILE": str(key)}


def test_defaults(environ: dict[str, str]) -> None:
    settings = read_settings(environ)
    assert settings.namespaces == ("a", "b")
    assert (settings.routers, settings.images) == ((), {})
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
