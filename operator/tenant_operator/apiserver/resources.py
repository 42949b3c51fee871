"""The kinds that the operator reads and writes, and their paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tenant_api.kubernetes_names import GROUP, TEMPLATES, TENANTS, VERSION

Json = dict[str, Any]
"""An object as JSON has it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One namespaced kind."""

    group: str
    """API group; empty: core."""
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Return the path of the collection, an object or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        path = f"{root}/namespaces/{namespace}/{self.plural}"
        if name:
            path += f"/{name}"
        if subresource:
            path += f"/{subresource}"
        return path


TENANT: Final = Resource(GROUP, VERSION, TENANTS, "Tenant")
TEMPLATE: Final = Resource(GROUP, VERSION, TEMPLATES, "TenantTemplate")
DEPLOYMENT: Final = Resource("apps", "v1", "deployments", "Deployment")
CLAIM: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SECRET: Final = Resource("", "v1", "secrets", "Secret")
POD: Final = Resource("", "v1", "pods", "Pod")
EVENT: Final = Resource("", "v1", "events", "Event")
SERVICE_ACCOUNT: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NETWORK_POLICY: Final = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
SNAPSHOT: Final = Resource("snapshot.storage.k8s.io", "v1", "volumesnapshots", "VolumeSnapshot")
LEASE: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
