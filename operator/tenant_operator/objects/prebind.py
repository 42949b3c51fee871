"""A pod that runs once and does nothing: the first pod of a claim binds a volume that waits for its first consumer."""

from __future__ import annotations

from tenant_api.kubernetes_names import COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, TENANT_LABEL, child_name
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

from ..apiserver.resources import Json
from .marks import owner
from .network_policy import PREBIND
from .pod import container_security, placement, pod_security
from .service_account import GATEWAY_ACCOUNT

DEADLINE = 600
"""Seconds that the pod may take; cloning a large volume takes minutes."""


def prebind_name(tenant: str) -> str:
    """Return the pod's name. May pass 63 characters, which pods' names allow."""
    return f"{child_name(tenant)}-prebind"


def build_prebind(tenant: Tenant, template: TenantTemplate, image: str) -> Json:
    """Return the pod. Placed like the gateway's, so that the volume is bound where that can run."""
    return {
        "metadata": {
            "name": prebind_name(tenant.name),
            # Not a gateway's labels: neither router nor Deployment may take it for one.
            "labels": {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: PREBIND, TENANT_LABEL: tenant.name},
            "ownerReferences": [owner(tenant)],
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": DEADLINE,
            "serviceAccountName": GATEWAY_ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": pod_security(),
            **placement(template),
            "containers": [
                {
                    "name": PREBIND,
                    "image": image,
                    "command": ["/bin/sh", "-c", "exit 0"],
                    "securityContext": container_security(),
                    "resources": {
                        "requests": {"cpu": "1m", "memory": "8Mi"},
                        "limits": {"cpu": "100m", "memory": "64Mi"},
                    },
                    "volumeMounts": [{"name": "state", "mountPath": "/state"}],
                }
            ],
            "volumes": [{"name": "state", "persistentVolumeClaim": {"claimName": child_name(tenant.name)}}],
        },
    }
