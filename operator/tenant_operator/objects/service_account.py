"""The ServiceAccount that a namespace's gateways run as: it may do nothing, and its token is never mounted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tenant_api.kubernetes_names import COMPONENT_LABEL, GATEWAY, MANAGED_BY, MANAGED_BY_LABEL

from ..apiserver.resources import Json
from .marks import stamped

GATEWAY_ACCOUNT: Final = "openclaw-gateway"
"""Name of the ServiceAccount in each namespace of tenants."""


def namespace_labels() -> dict[str, str]:
    """Return the labels of what a namespace has once for all its tenants."""
    return {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: f"{GATEWAY}-namespace"}


def build_service_account(pull_secrets: Sequence[str] = ()) -> Json:
    """Return the ServiceAccount, stamped.

    Parameters
    ----------
    pull_secrets
        Names of Secrets of the namespace by which images are pulled: every pod of this account gets them at its making.
    """
    body: Json = {
        "metadata": {"name": GATEWAY_ACCOUNT, "labels": namespace_labels()},
        "automountServiceAccountToken": False,
    }
    if pull_secrets:
        body["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    return stamped(body)
