"""What the operator and the router call a tenant's objects on Kubernetes: one writes them, the other finds them."""

from __future__ import annotations

from typing import Final

GROUP: Final = "openclaw-tenancy.dev"
"""API group of Tenant and TenantTemplate."""
VERSION: Final = "v1alpha1"
TENANTS: Final = "tenants"
TEMPLATES: Final = "tenanttemplates"

TENANT_LABEL: Final = f"{GROUP}/tenant"
"""Label with the tenant's name, on its Deployment, claim, Secret and pods."""
TEMPLATE_LABEL: Final = f"{GROUP}/template"
"""Label with the template's name, on pods and on what is open to these alone. A name is 63 characters at most, as a label is."""
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "openclaw-tenancy"
GATEWAY: Final = "gateway"
"""Component of a tenant's objects, name of its container and of the container's port."""
GATEWAY_PORT: Final = 18789
"""Port of every gateway in its pod: upstream's default."""

CONFIG_KEY: Final = "openclaw.json"
"""Key of the tenant's Secret that holds its rendered config."""
CONFIG_MOUNT: Final = "/etc/openclaw"
"""Where that Secret is mounted; the image copies the file to the volume, because upstream never sees a symlink swapped."""
STATE_MOUNT: Final = "/state"
"""Where the tenant's volume is mounted: OPENCLAW_STATE_DIR."""
RUN_AS: Final = 10001
"""User, group and fsGroup of a gateway's pod; the images make the user."""

IDENTITY_SECRET: Final = "openclaw-tenancy-identity"  # noqa: S105 - the name of one, not its content
"""Secret beside operator and router with the master key, under the key below."""
IDENTITY_KEY: Final = "master-key"


def child_name(tenant: str) -> str:
    """Return the name of a tenant's Deployment, claim and Secret. May pass 63 characters, which these kinds allow."""
    return f"openclaw-{tenant}"


def gateway_labels(tenant: str) -> dict[str, str]:
    """Return the labels of all that belongs to one tenant's gateway; also its pods' selector."""
    return {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: GATEWAY, TENANT_LABEL: tenant}


def gateways_selector() -> str:
    """Return the label selector that lists all gateways' objects, as a watch wants it."""
    return f"{MANAGED_BY_LABEL}={MANAGED_BY},{COMPONENT_LABEL}={GATEWAY}"
