"""What we render, judged by the real OpenClaw: its schema is strict, and an unknown key keeps a gateway from starting."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deadlines import eventually_sync
from ports import free_port
from tenant_api.config import ROUTER_HEADER, USER_HEADER, GatewaySettings
from tenant_api.config.gateway_settings import OWNED
from tenant_api.config.render import render_config
from tenant_api.identity import identity_secret, identity_user
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

pytestmark = pytest.mark.openclaw

CONFIG = """
{
  models: {
    mode: "replace",
    providers: {
      fake: {
        baseUrl: "http://127.0.0.1:18900/v1", apiKey: "${FAKE_KEY}", api: "openai-completions",
        models: [{ id: "fake-model", name: "Fake for {{ tenant.name }}" }],
      },
    },
  },
  agents: { defaults: { model: { primary: "fake/fake-model" } } },
  gateway: { auth: { mode: "token", token: "of-the-template" }, tls: { enabled: true } },
}
"""


def openclaw_json(runtime: OpenClawRuntime, home: Path, config: object, *args: str) -> dict[str, Any]:
    """Run `openclaw ARGS` on a config and return the JSON that it prints."""
    path = home / "openclaw.json"
    path.write_text(json.dumps(config))
    base = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "OPENCLAW_STATE_DIR": str(home),
        "OPENCLAW_CONFIG_PATH": str(path),
    }
    argv, env = runtime.cli(args, base | {"FAKE_KEY": "sk-fake"})
    done = subprocess.run(argv, env=env, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    answer: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return answer


@pytest.mark.parametrize("machine", ["one machine", "pod"])
def test_upstream_accepts_the_config(
    openclaw: OpenClawRuntime,
    tmp_path: Path,
    template: Callable[..., TenantTemplate],
    tenant: Callable[..., Tenant],
    settings: GatewaySettings,
    machine: str,
) -> None:
    user = identity_user("a" * 63, identity_secret(bytes(32), "uid"))
    settings = dataclasses.replace(settings, user=user, workspace=str(tmp_path / "workspace"))
    if machine == "pod":
        settings = dataclasses.replace(
            settings, bind="lan", port=18789, allow_loopback=False, trusted_proxies=("10.42.0.0/16", "fd00::/8")
        )
    overlay = {"agents": {"defaults": {"heartbeat": {"every": "1h"}}}}
    config = render_config(template(config=CONFIG), tenant(config=overlay), settings)
    assert openclaw_json(openclaw, tmp_path, config, "config", "validate", "--json")["valid"] is True


def test_upstream_refuses_a_key_that_it_does_not_know(
    openclaw: OpenClawRuntime,
    tmp_path: Path,
    template: Callable[..., TenantTemplate],
    tenant: Callable[..., Tenant],
    settings: GatewaySettings,
) -> None:
    config = render_config(template(), tenant(config={"gateway": {"nope": 1}}), settings)
    answer = openclaw_json(openclaw, tmp_path, config, "config", "validate", "--json")
    assert answer["valid"] is False
    assert any("nope" in issue["message"] for issue in answer["issues"])


def test_every_path_that_is_ours_is_in_upstreams_schema(openclaw: OpenClawRuntime, tmp_path: Path) -> None:
    """A path that upstream has renamed would protect nothing."""
    answer = openclaw_json(openclaw, tmp_path, {}, "config", "schema")
    schema = answer.get("schema", answer)
    for path in OWNED:
        node = schema
        for segment in path:
            known = node.get("properties", {})
            assert segment in known or node.get("additionalProperties"), path
            node = known.get(segment, {})


def get(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """GET a loopback URL; status 0 while nobody listens."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_real_gateway_boots_with_it_and_lets_only_its_own_router_in(
    openclaw: OpenClawRuntime,
    tmp_path: Path,
    template: Callable[..., TenantTemplate],
    tenant: Callable[..., Tenant],
    settings: GatewaySettings,
) -> None:
    secrets = [identity_secret(bytes(32), uid) for uid in ("uid-of-ann", "uid-of-bob")]
    ann, forged = (identity_user("ann", secret) for secret in secrets)
    settings = dataclasses.replace(settings, user=ann, port=free_port())
    path = tmp_path / "openclaw.json"
    path.write_text(json.dumps(render_config(template(config=CONFIG), tenant(), settings)))
    base = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "FAKE_KEY": "sk-fake"}
    base |= {"OPENCLAW_STATE_DIR": str(tmp_path), "OPENCLAW_CONFIG_PATH": str(path)}
    base |= {"OPENCLAW_NO_RESPAWN": "1", "OPENCLAW_SUPERVISOR_MODE": "external", "OPENCLAW_DISABLE_BONJOUR": "1"}
    argv, env = openclaw.cli(["gateway", "run"], base)
    url = f"http://127.0.0.1:{settings.port}"
    with (tmp_path / "gateway.log").open("w") as log:
        gateway = subprocess.Popen(argv, env=env, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    try:

        def started() -> bool:
            assert gateway.poll() is None, (tmp_path / "gateway.log").read_text()[-2000:]
            status, body = get(f"{url}/startupz", {})
            return status == 200 and json.loads(body)["ok"] is True

        eventually_sync(started, 120, "the gateway starts")
        routed = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http", ROUTER_HEADER: "1"}
        assert get(f"{url}/v1/models", {**routed, USER_HEADER: ann})[0] == 200
        for headers in (
            {**routed, USER_HEADER: forged},
            routed,
            {"X-Forwarded-For": "192.0.2.1", USER_HEADER: ann},
            {"Authorization": "Bearer of-the-template"},
            {},
        ):
            assert get(f"{url}/v1/models", headers)[0] == 401, headers
    finally:
        gateway.terminate()
        assert gateway.wait(60) == 0
