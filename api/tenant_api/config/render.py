"""Template ⊕ overlay ⊕ settings of our own: the config file of one tenant's gateway."""

from __future__ import annotations

import json
from typing import Any, Final

from tenant_api.config.errors import ConfigError
from tenant_api.config.gateway_settings import OWNED, GatewaySettings
from tenant_api.config.json5 import Json5Error, parse_json5
from tenant_api.config.merge import merge, refuse_touching
from tenant_api.config.paths import parse_path
from tenant_api.config.template_text import RenderedText, check_template_text, render_template_text
from tenant_api.plain_json import Json, problems
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

MAX_RESULT_BYTES: Final = 512 * 1024
"""Longest config file: it must fit a Kubernetes Secret (1 MiB, in base64)."""


def template_config(template: TenantTemplate, tenant: Tenant) -> dict[str, Json]:
    """Return the template's config for a tenant, before any overlay.

    Raises
    ------
    ConfigError
        With line and column in the template's text.
    """
    return _parsed(render_template_text(template.spec.config, template_variables(tenant)))


def _parsed(rendered: RenderedText) -> dict[str, Json]:
    try:
        config = parse_json5(rendered.text)
    except Json5Error as error:
        line, column = rendered.template_place(error.line, error.column)
        raise ConfigError(
            "template", error.message, line=line, column=column, hint="spec.config is JSON5 text"
        ) from None
    for path, problem, hint in problems(config):
        raise ConfigError("template", problem, path, hint=hint)
    if not isinstance(config, dict):
        raise ConfigError("template", "is no object", line=1, column=1, hint="write { ... }")
    return config


def check_template(template: TenantTemplate) -> None:
    """Raise what is wrong with a template's config, whoever the tenant is.

    Raises
    ------
    ConfigError
        With line and column in the template's text.
    """
    if check_template_text(template.spec.config):
        _parsed(render_template_text(template.spec.config, {}))


def template_variables(tenant: Tenant) -> dict[str, Any]:
    """Return what `tenant` stands for in a template."""
    metadata = tenant.metadata
    return {
        "name": metadata.name,
        "userId": tenant.spec.user_id,
        "labels": dict(metadata.labels),
        "annotations": dict(metadata.annotations),
    }


def render_config(template: TenantTemplate, tenant: Tenant, settings: GatewaySettings) -> dict[str, Json]:
    """Return the config of a tenant's gateway as plain JSON, which is JSON5 that OpenClaw reads.

    What the template says where `gateway_settings.OWNED` has a path is replaced without a word, so that a template may be
    somebody's own openclaw.json; an overlay that does so is an error, because its author must not think that it works.

    Raises
    ------
    ConfigError
        Names line and column in the template's text, or the path in the overlay.
    """
    base = template_config(template, tenant)
    overlay: Json = tenant.spec.config
    refuse_includes(overlay)
    refuse_touching(overlay, [parse_path(path) for path in template.spec.protected], OWNED)
    config = with_settings(merge(base, overlay), settings)
    size = len(json.dumps(config, ensure_ascii=False).encode())
    if size > MAX_RESULT_BYTES:
        raise ConfigError("result", f"has {size} bytes, more than {MAX_RESULT_BYTES}", hint="leave something out")
    return config


def refuse_includes(overlay: Json) -> None:
    """Raise where an overlay would have OpenClaw read another file, past every protected path.

    Raises
    ------
    ConfigError
        Names the path of the `$include`.
    """
    stack: list[tuple[tuple[str | int, ...], Json]] = [((), overlay)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            if "$include" in node:
                where = (*path, "$include")
                raise ConfigError(
                    "overlay", "includes a file, which a tenant's overlay can't", where, hint="write it here"
                )
            stack.extend(((*path, key), child) for key, child in node.items())
        elif isinstance(node, list):
            stack.extend(((*path, index), child) for index, child in enumerate(node))


def with_settings(config: Json, settings: GatewaySettings) -> dict[str, Json]:
    """Return a config with the gateway settings that are ours, and our defaults where it says nothing."""
    result = _object(config)
    gateway = _object(result.get("gateway"))
    # As a whole: a token of the template's beside trusted-proxy keeps the gateway from starting.
    gateway.pop("auth", None)
    result["gateway"] = merge(gateway, settings.overlay())
    env = _object(result.get("env"))
    if isinstance(env.get("vars"), dict):
        env["vars"] = {key: value for key, value in _object(env["vars"]).items() if not key.startswith("OPENCLAW_")}
        result["env"] = env
    agents = _object(result.get("agents"))
    defaults = _object(agents.get("defaults"))
    heartbeat = _object(defaults.get("heartbeat"))
    # Upstream's default is a turn every 30 minutes: it would wake nobody and keep the woken from sleeping.
    heartbeat.setdefault("every", "0m")
    defaults["heartbeat"] = heartbeat
    if settings.workspace is not None:
        defaults.setdefault("workspace", settings.workspace)
    agents["defaults"] = defaults
    result["agents"] = agents
    return result


def _object(value: Json) -> dict[str, Json]:
    return dict(value) if isinstance(value, dict) else {}
