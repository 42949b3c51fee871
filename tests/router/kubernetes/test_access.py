"""Ways to an API server: what is read, and what is said when there is none."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.errors import ConfigurationError

CONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443/", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "kubeconfig"
    file.write_text(CONFIG % "first")
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.9")
    return file


async def test_kubeconfig_goes_before_the_service_account(kubeconfig: Path) -> None:
    access = await ApiAccess.load()
    assert access.server == "https://192.0.2.1:6443"
    assert await access.headers() == {"Authorization": "Bearer first"}


async def test_cas_that_kubectl_accepts_are_accepted(kubeconfig: Path) -> None:
    access = await ApiAccess.load()
    assert not access.ssl.verify_flags & ssl.VERIFY_X509_STRICT


async def test_credentials_are_read_again_after_a_refusal_but_not_in_a_rush(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = await ApiAccess.load()
    kubeconfig.write_text(CONFIG % "second")
    assert not await access.reload()
    access._loaded -= 60.0
    assert await access.reload()
    assert await access.headers() == {"Authorization": "Bearer second"}


async def test_a_pod_without_its_service_account_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.9")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        await ApiAccess.load()


async def test_a_kubeconfig_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/at/all")
    with pytest.raises(ConfigurationError, match="/nowhere/at/all"):
        await ApiAccess.load()
