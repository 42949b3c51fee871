"""The ServiceAccount that a namespace's gateways run as: it may do nothing, and its token is never mounted."""

from __future__ import annotations

from typing import Final

from tenant_api.kubernetes_names import COMPONENT_LABEL, GATEWAY, MANAGED_BY, MANAGED_BY_LABEL

from ..apiserver.resources import Json
from .marks import stamped

GATEWAY_ACCOUNT: Final = "openclaw-gateway"
"""Name of the ServiceAccount in each namespace of tenants."""


def namespace_labels() -> dict[str, str]:
    """Return the labels of what a namespace has once for all its tenants."""
    return {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: f"{GATEWAY}-namespace"}


def build_service_account() -> Json:
    """Return the ServiceAccount, stamped."""
    return stamped(
        {
            "metadata": {"name": GATEWAY_ACCOUNT, "labels": namespace_labels()},
            "automountServiceAccountToken": False,
        }
    )
