from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tenant_api.config import ConfigError, GatewaySettings
from tenant_api.config.paths import format_path
from tenant_api.config.render import render_config
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

MakeTemplate = Callable[..., TenantTemplate]
MakeTenant = Callable[..., Tenant]


def test_gateway_settings_are_those_of_the_protocol_page(
    template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings
) -> None:
    gateway: Any = render_config(template(), tenant(), settings)["gateway"]
    assert (gateway["mode"], gateway["bind"], gateway["port"]) == ("local", "loopback", 18801)
    assert gateway["auth"]["mode"] == "trusted-proxy"
    assert gateway["auth"]["trustedProxy"] == {
        "userHeader": "x-openclaw-tenant",
        "requiredHeaders": ["x-openclaw-router"],
        "allowUsers": [settings.user],
        "allowLoopback": True,
    }
    assert list(gateway["auth"]["identityScopes"]) == [settings.user]
    assert "operator.admin" in gateway["auth"]["identityScopes"][settings.user]
    assert gateway["trustedProxies"] == ["127.0.0.1"]
    assert gateway["http"]["endpoints"] == {"chatCompletions": {"enabled": True}, "responses": {"enabled": True}}
    assert gateway["controlUi"] == {"enabled": True, "allowedOrigins": ["*"]}


def test_in_a_pod_loopback_is_not_let_in(template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings) -> None:
    pod = dataclasses.replace(settings, bind="lan", allow_loopback=False, trusted_proxies=("10.42.0.0/16",))
    gateway: Any = render_config(template(), tenant(), pod)["gateway"]
    assert "allowLoopback" not in gateway["auth"]["trustedProxy"]
    assert gateway["bind"] == "lan"


def test_template_overlay_and_settings_come_together(
    template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings
) -> None:
    made = template(
        config="""
        {
          // JSON5, with the tenant's values
          agents: { defaults: { model: { primary: 'fake/m' }, userTimezone: "{{ tenant.labels.zone | default('UTC') }}" } },
          logging: { level: "info" }, list: [1, 2],
          gateway: { port: 1, auth: { mode: "token", token: "t" }, nodes: { pairing: { autoApproveLocal: false } } },
          env: { vars: { OPENCLAW_GATEWAY_TOKEN: "x", TZ: "UTC" } },
        }
        """
    )
    overlay = {"agents": {"defaults": {"heartbeat": {"every": "1h"}}}, "logging": None, "list": [3]}
    config: Any = render_config(made, tenant(config=overlay), settings)
    assert config["agents"]["defaults"] == {
        "model": {"primary": "fake/m"},
        "userTimezone": "UTC",
        "heartbeat": {"every": "1h"},
    }
    assert "logging" not in config and config["list"] == [3]
    assert config["gateway"]["port"] == 18801 and "token" not in config["gateway"]["auth"]
    assert config["gateway"]["nodes"] == {"pairing": {"autoApproveLocal": False}}
    assert config["env"] == {"vars": {"TZ": "UTC"}}
    json.dumps(config, allow_nan=False)


def test_heartbeat_sleeps_unless_somebody_wants_it(
    template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings
) -> None:
    config: Any = render_config(template(), tenant(), settings)
    assert config["agents"]["defaults"]["heartbeat"] == {"every": "0m"}


@pytest.mark.parametrize(
    ("overlay", "path"),
    [
        ({"models": {"providers": {"x": {"baseUrl": "http://evil"}}}}, "models.providers"),
        ({"models": None}, "models"),
        ({"gateway": {"auth": {"mode": "none"}}}, "gateway.auth"),
        ({"agents": {"list": [{"x": {"$include": "../../other.json"}}]}}, "agents.list[0].x.$include"),
        ({"$include": ["a"]}, "$include"),
    ],
)
def test_an_overlay_that_goes_too_far_is_refused_by_path(
    template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings, overlay: dict[str, Any], path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        render_config(template(protected=["models.providers"]), tenant(config=overlay), settings)
    assert caught.value.source == "overlay"
    assert path in str(caught.value) and caught.value.hint
    assert format_path(caught.value.path).startswith(path)


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("{\n  a: oops,\n}", 2, 6, "quotes"),
        ('{ {% if tenant.name %}\n  a: "{{ tenant.name }}", b: oops,\n{% endif %} }', 2, 30, "quotes"),
        ("[]", 1, 1, "no object"),
        ("", 1, 1, "value should be"),
        ("{ a: NaN }", None, None, "JSON"),
        ("{ __proto__: 1 }", None, None, "refuses"),
        ("{ a: 'x\\ud800' }", None, None, "surrogate"),
    ],
)
def test_a_broken_template_is_refused_by_place(
    template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings, text: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        render_config(template(config=text), tenant(), settings)
    assert (caught.value.source, caught.value.line, caught.value.column) == ("template", line, column)
    assert says in caught.value.message


@pytest.mark.parametrize("user", ["", "A", "a b", "a\r\nx: y", "a" * 300])
def test_a_user_that_is_no_header_value_is_refused(user: str) -> None:
    with pytest.raises(ValueError):
        GatewaySettings(user=user)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["gateway", "auth", "agents", "defaults", "env", "vars", "x"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=20,
)


@given(base=st.dictionaries(st.text(max_size=8), JSON, max_size=4) | JSON, overlay=JSON)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_rendered_or_refused_and_the_router_alone_gets_in(
    template: MakeTemplate, tenant: MakeTenant, settings: GatewaySettings, base: Any, overlay: Any
) -> None:
    try:
        text = json.dumps(base).replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
        made = render_config(
            template(config=text), tenant(config={"o": overlay} if not isinstance(overlay, dict) else overlay), settings
        )
    except ValueError:
        return  # no model
    except ConfigError as error:
        assert str(error)
        return
    config: Any = json.loads(json.dumps(made, allow_nan=False))
    assert config["gateway"]["auth"]["trustedProxy"]["allowUsers"] == [settings.user]
    assert set(config["gateway"]["auth"]) == {"mode", "identityScopes", "trustedProxy"}
    assert config["gateway"]["port"] == settings.port
