"""The environment of the router process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenant_api.variables import SettingsError
from tenant_router.kubernetes.settings import read_settings


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "master-key"
    key.write_bytes(b"k" * 32)
    return {"OPENCLAW_TENANCY_NAMESPACES": "a, b,a", "OPENCLAW_TENANCY_MASTER_KEY_FILE": str(key)}


def test_two_variables_are_enough(environ: dict[str, str]) -> None:
    settings = read_settings(environ)
    assert settings.namespaces == ("a", "b")
    assert settings.master_key == b"k" * 32
    assert settings.router.listen == ("0.0.0.0", 18789)
    assert settings.router.admin == ("0.0.0.0", 18790)


def test_everything_can_be_said(environ: dict[str, str]) -> None:
    environ |= {
        "OPENCLAW_TENANCY_LISTEN": "[::1]:1",
        "OPENCLAW_TENANCY_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8",
        "OPENCLAW_TENANCY_DRAIN_TIMEOUT": "1m",
        "OPENCLAW_TENANCY_MAX_CONCURRENT_WAKES": "3",
        "OPENCLAW_TENANCY_LOG_LEVEL": "debug",
    }
    settings = read_settings(environ)
    assert settings.router.listen == ("::1", 1)
    assert [str(network) for network in settings.router.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]
    assert settings.router.drain_timeout == 60.0
    assert settings.router.max_concurrent_wakes == 3
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NAMESPACES", " , "),
        ("MASTER_KEY_FILE", ""),
        ("MASTER_KEY_FILE", "/nowhere/at/all"),
        ("LISTEN", "18789"),
        ("ADMIN", "host:99999"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DRAIN_TIMEOUT", "30"),
        ("MAX_CONCURRENT_WAKES", "0"),
        ("LOG_LEVEL", "loud"),
        ("CONTROL_UI", "/nowhere/at/all"),
    ],
)
def test_what_is_wrong_is_named(environ: dict[str, str], name: str, value: str) -> None:
    environ[f"OPENCLAW_TENANCY_{name}"] = value
    with pytest.raises(SettingsError, match=f"OPENCLAW_TENANCY_{name}"):
        read_settings(environ)


def test_a_short_master_key_is_refused(environ: dict[str, str]) -> None:
    Path(environ["OPENCLAW_TENANCY_MASTER_KEY_FILE"]).write_bytes(b"short")
    with pytest.raises(SettingsError, match="32"):
        read_settings(environ)
