"""metadata of a resource: what its author writes, and what the API server adds."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tenant_api.names import DnsLabel, LabelKey, LabelValue
from tenant_api.schema import ApiModel


class ObjectMeta(ApiModel):
    """Name, labels and annotations; what the API server adds is accepted, so that exported files load again."""

    name: DnsLabel
    """Name of the resource: a DNS-1123 label, because pods, volumes and directories are named after it."""
    namespace: DnsLabel | None = None
    """Namespace of the resource; has no meaning on one machine."""
    uid: str | None = None
    """Set by the API server. On one machine the fleet derives one."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels, also to be had in templates as `tenant.labels`."""
    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Annotations, also to be had in templates as `tenant.annotations`."""
    generation: int | None = None
    """Set by the API server: counts the changes of spec."""
    resource_version: str | None = None
    """Set by the API server."""
    creation_timestamp: str | None = None
    """Set by the API server: when the resource was made (RFC 3339). Of two tenants with one token the older keeps it."""
    deletion_timestamp: str | None = None
    """Set by the API server once somebody has asked for deletion (RFC 3339)."""
    deletion_grace_period_seconds: int | None = None
    """Set by the API server."""
    finalizers: list[str] = Field(default_factory=list)
    """What must be done before the resource may go."""
    owner_references: list[Any] = Field(default_factory=list)
    """Resources with which this one goes."""
    managed_fields: list[Any] = Field(default_factory=list)
    """Set by the API server: who wrote which field."""
    generate_name: str | None = None
    """Set by the API server where it made up the name."""
    self_link: str | None = None
    """Set by API servers of old."""
