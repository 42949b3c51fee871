"""The Deployment of a tenant. It never says how many replicas: the router wakes and the operator puts to sleep by /scale."""

from __future__ import annotations

from tenant_api.kubernetes_names import GATEWAY, TEMPLATE_LABEL, child_name, gateway_labels
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

from ..apiserver.resources import Json
from .marks import TEMPLATE_VERSION, child_metadata, stamped
from .pod import pod_spec

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def build_deployment(tenant: Tenant, template: TenantTemplate, image: str) -> Json:
    """Return the Deployment, stamped; its hash says nothing about replicas."""
    return stamped(
        {
            "metadata": child_metadata(
                tenant, child_name(tenant.name), annotations={TEMPLATE_VERSION: template.spec.version}
            ),
            "spec": {
                "revisionHistoryLimit": 1,
                # One gateway owns one state directory: never two at once.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": gateway_labels(tenant.name)},
                "template": {
                    "metadata": {
                        # The template's whether it opens anything now or not: what it opens later reaches pods that run.
                        "labels": {**gateway_labels(tenant.name), TEMPLATE_LABEL: template.name},
                        "annotations": {DEFAULT_CONTAINER: GATEWAY},
                    },
                    "spec": pod_spec(tenant, template, image),
                },
            },
        }
    )


def asleep_at_birth(body: Json) -> Json:
    """Return a Deployment as it is created: without replicas. Only for one that is not there yet."""
    return {**body, "spec": {"replicas": 0, **body["spec"]}}


def as_seen(body: Json, replicas: int, resource_version: str) -> Json:
    """Return a Deployment as it is applied over one that is there.

    It was created with `replicas`, and what a manager once applied and then leaves out is reset: to its default 1, which
    would wake everybody. So the number is repeated as it was seen, and the resource version has the apply refused if the
    router has changed it since.
    """
    metadata = {**body["metadata"], "resourceVersion": resource_version}
    return {**body, "metadata": metadata, "spec": {"replicas": replicas, **body["spec"]}}
