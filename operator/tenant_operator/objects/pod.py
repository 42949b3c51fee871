"""The pod of a gateway: hardened so that a namespace may enforce the `restricted` Pod Security level."""

from __future__ import annotations

from typing import Final

from tenant_api.kubernetes_names import (
    CONFIG_KEY,
    CONFIG_MOUNT,
    GATEWAY,
    GATEWAY_PORT,
    RUN_AS,
    STATE_MOUNT,
    child_name,
)
from tenant_api.quantities import parse_quantity
from tenant_api.template import EnvVar, TenantTemplate
from tenant_api.tenant import Tenant

from ..apiserver.resources import Json
from .amounts import canonical, canonical_all
from .service_account import GATEWAY_ACCOUNT

GRACE: Final = {"native": 30, "openclaw": 330}
"""Seconds from SIGTERM to SIGKILL. A gateway that was put to sleep has nothing to do and goes at once; this is for evictions
and node drains, where upstream's drain waits up to 315 s for running turns."""
STARTUP_TRIES: Final = 120
"""Probes, one a second: a cold node may pull the image's layers into its cache while the gateway already runs."""
TMP_LIMIT: Final = "1Gi"
"""Of the node's disk for /tmp: nothing there outlives the pod."""


def pod_security() -> Json:
    """Return the security context of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": RUN_AS,
        "runAsGroup": RUN_AS,
        "fsGroup": RUN_AS,
        # A volume of many files is walked once, not at each wake.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Json:
    """Return the security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def placement(template: TenantTemplate) -> Json:
    """Return where the pods of a template's tenants may run."""
    spec = template.spec
    result: Json = {}
    if spec.node_selector:
        result["nodeSelector"] = dict(spec.node_selector)
    if spec.tolerations:
        result["tolerations"] = [
            toleration.model_dump(by_alias=True, exclude_none=True) for toleration in spec.tolerations
        ]
    if spec.runtime_class_name:
        result["runtimeClassName"] = spec.runtime_class_name
    if spec.priority_class_name:
        result["priorityClassName"] = spec.priority_class_name
    return result


def pod_spec(tenant: Tenant, template: TenantTemplate, image: str) -> Json:
    """Return the spec of the gateway's pod."""
    name = child_name(tenant.name)
    return {
        "serviceAccountName": GATEWAY_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE[template.spec.runtime],
        "securityContext": pod_security(),
        **placement(template),
        "containers": [_container(tenant, template, image)],
        "volumes": [
            {"name": "state", "persistentVolumeClaim": {"claimName": name}},
            {"name": "config", "secret": {"secretName": name, "items": [{"key": CONFIG_KEY, "path": CONFIG_KEY}]}},
            {"name": "tmp", "emptyDir": {"sizeLimit": TMP_LIMIT}},
        ],
    }


def start_boost(template: TenantTemplate) -> tuple[str, str] | None:
    """Return the CPU limit while a gateway starts and the one afterwards, if there are two."""
    limit, start = template.spec.resources.limits.get("cpu"), template.spec.wake.cpu_limit
    if limit is None or start is None or parse_quantity(start) <= parse_quantity(limit):
        return None
    return canonical(start), canonical(limit)


def _container(tenant: Tenant, template: TenantTemplate, image: str) -> Json:
    container: Json = {
        "name": GATEWAY,
        "image": image,
        "ports": [{"name": GATEWAY, "containerPort": GATEWAY_PORT, "protocol": "TCP"}],
        "env": _env(template),
        "securityContext": container_security(),
        "startupProbe": _probe("/startupz", periodSeconds=1, timeoutSeconds=1, failureThreshold=STARTUP_TRIES),
        "readinessProbe": _probe("/startupz", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
        # A busy Node process answers late, and killing it would kill a conversation: only four minutes of silence count.
        "livenessProbe": _probe("/healthz", periodSeconds=20, timeoutSeconds=15, failureThreshold=12),
        "volumeMounts": [
            {"name": "state", "mountPath": STATE_MOUNT},
            {"name": "config", "mountPath": CONFIG_MOUNT, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
        ],
    }
    resources = template.spec.resources
    amounts = {"requests": canonical_all(resources.requests), "limits": canonical_all(resources.limits)}
    if (boost := start_boost(template)) is not None:
        amounts["limits"]["cpu"] = boost[0]
    if any(amounts.values()):
        container["resources"] = {kind: values for kind, values in amounts.items() if values}
    if tenant.spec.credentials is not None:
        # The Secret may come later; a gateway without keys can still be talked to, and says so.
        container["envFrom"] = [{"secretRef": {"name": tenant.spec.credentials.secret_ref.name, "optional": True}}]
    return container


_FOR_NOBODY: Final = {"name": "X-Forwarded-For", "value": "192.0.2.1"}
"""An address that is nobody's (RFC 5737, TEST-NET-1)."""


def _probe(path: str, **times: int) -> Json:
    """Probe upstream's endpoints, whose JSON bodies say in a status (200 or 503) what the kubelet needs.

    The kubelet comes from an address of `gateway.trustedProxies` where these are all private networks, and upstream answers
    403 to a proxy that does not say for whom it asks.
    """
    return {"httpGet": {"path": path, "port": GATEWAY, "httpHeaders": [_FOR_NOBODY]}, **times}


def _env(template: TenantTemplate) -> list[Json]:
    ours = {
        "OPENCLAW_STATE_DIR": STATE_MOUNT,
        "OPENCLAW_CONFIG_PATH": f"{STATE_MOUNT}/{CONFIG_KEY}",
        "OPENCLAW_CONFIG_SOURCE": f"{CONFIG_MOUNT}/{CONFIG_KEY}",
        "HOME": f"{STATE_MOUNT}/home",
    }
    result: list[Json] = [{"name": name, "value": value} for name, value in ours.items()]
    return result + [_variable(variable) for variable in template.spec.env if variable.name not in ours]


def _variable(variable: EnvVar) -> Json:
    if variable.value_from is None:
        return {"name": variable.name, "value": variable.value or ""}
    source = variable.value_from.model_dump(by_alias=True, exclude_none=True)
    return {"name": variable.name, "valueFrom": source}
