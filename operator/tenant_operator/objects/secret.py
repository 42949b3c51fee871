"""The Secret of a tenant: the rendered config of its gateway, and what of that came from its template."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from tenant_api.config import ConfigError, GatewaySettings
from tenant_api.config.render import render_config, template_variables
from tenant_api.identity import identity_secret, identity_user
from tenant_api.kubernetes_names import CONFIG_KEY, GATEWAY_PORT, STATE_MOUNT, child_name
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

from ..apiserver.resources import Json
from .marks import TEMPLATE_CONFIG, TENANT_CONFIG, child_metadata, digest, stamped

TEMPLATE_KEY: Final = "template.json"
"""Key beside the config, not mounted: what `template_mark` is the hash of.

While a changed template waits for a tenant's sleep, a changed overlay is laid over the old one: also by an operator that
started after the change and has never seen it.
"""


@dataclass(frozen=True, slots=True)
class GatewayDoor:
    """Whom the gateways let in: the same for all tenants."""

    master_key: bytes
    router_networks: tuple[str, ...]

    def __repr__(self) -> str:
        return f"GatewayDoor(router_networks={self.router_networks})"


def build_secret(tenant: Tenant, template: TenantTemplate, door: GatewayDoor) -> Json:
    """Return the Secret, stamped.

    Nothing in it changes by itself: upstream checks a config that it has not seen before for two seconds.

    Raises
    ------
    ConfigError
        Template or overlay can't be rendered.
    """
    config = render_config(template, tenant, _settings(tenant, template, door))
    text = json.dumps(config, ensure_ascii=False, separators=(",", ":"))
    return stamped(
        {
            "metadata": child_metadata(
                tenant,
                child_name(tenant.name),
                annotations={TEMPLATE_CONFIG: template_mark(template), TENANT_CONFIG: tenant_mark(tenant)},
            ),
            "type": "Opaque",
            "data": {
                CONFIG_KEY: base64.b64encode(text.encode()).decode(),
                TEMPLATE_KEY: base64.b64encode(json.dumps(_from_template(template)).encode()).decode(),
            },
        }
    )


def template_mark(template: TenantTemplate) -> str:
    """Return the hash of what a config has from its template."""
    return digest(_from_template(template))


def template_of(secret: Json, template: TenantTemplate) -> TenantTemplate | None:
    """Return a template as it was when a Secret was made, as far as configs depend on it; None if the Secret does not say."""
    try:
        config, protected, runtime = json.loads(base64.b64decode(secret["data"][TEMPLATE_KEY]))
    except (KeyError, TypeError, ValueError):
        return None
    spec = template.spec.model_copy(update={"config": config, "protected": protected, "runtime": runtime})
    return template.model_copy(update={"spec": spec})


def tenant_mark(tenant: Tenant) -> str:
    """Return the hash of what a config has from its tenant."""
    return digest([template_variables(tenant), tenant.spec.config])


def _from_template(template: TenantTemplate) -> list[Any]:
    return [template.spec.config, template.spec.protected, template.spec.runtime]


def _settings(tenant: Tenant, template: TenantTemplate, door: GatewayDoor) -> GatewaySettings:
    secret = identity_secret(door.master_key, tenant.metadata.uid or "")
    return GatewaySettings(
        user=identity_user(tenant.name, secret),
        port=GATEWAY_PORT,
        bind="lan",
        trusted_proxies=door.router_networks,
        runtime=template.spec.runtime,
        workspace=f"{STATE_MOUNT}/workspace",
    )


__all__ = ["ConfigError", "GatewayDoor", "build_secret", "template_mark", "template_of", "tenant_mark"]
