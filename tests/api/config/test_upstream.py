"""What we render, judged by the real OpenClaw: its schema is strict, and an unknown key keeps a gateway from starting."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tenant_api.config import GatewaySettings
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
