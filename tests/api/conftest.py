"""Resources that tests start from, as the YAML files say them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tenant_api.config import GatewaySettings
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

TEMPLATE: dict[str, Any] = {
    "apiVersion": "openclaw-tenancy.dev/v1alpha1",
    "kind": "TenantTemplate",
    "metadata": {"name": "standard"},
    "spec": {"version": "3", "config": "{}"},
}
TENANT: dict[str, Any] = {
    "apiVersion": "openclaw-tenancy.dev/v1alpha1",
    "kind": "Tenant",
    "metadata": {"name": "ann", "labels": {"plan": "gold"}, "annotations": {"note": 'say "hi"'}},
    "spec": {"userId": "42", "templateRef": {"name": "standard"}},
}


@pytest.fixture
def template() -> Callable[..., TenantTemplate]:
    """Makes templates: `template(config="{}", protected=[...])`."""

    def make(**spec: Any) -> TenantTemplate:
        data = copy.deepcopy(TEMPLATE)
        data["spec"].update(spec)
        return TenantTemplate.model_validate(data, by_alias=True, by_name=False)

    return make


@pytest.fixture
def tenant() -> Callable[..., Tenant]:
    """Makes tenants: `tenant(config={...})`."""

    def make(**spec: Any) -> Tenant:
        data = copy.deepcopy(TENANT)
        data["spec"].update(spec)
        return Tenant.model_validate(data, by_alias=True, by_name=False)

    return make


@pytest.fixture
def settings() -> GatewaySettings:
    """Settings of a gateway on one machine."""
    user = "ann." + "0" * 64
    return GatewaySettings(user=user, port=18801, bind="loopback", trusted_proxies=("127.0.0.1",), allow_loopback=True)
