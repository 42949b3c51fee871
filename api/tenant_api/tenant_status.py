"""Tenant.status: what the operator has seen. On one machine nobody writes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from tenant_api.schema import ATOMIC, ApiModel

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 time as the operator wrote it."""


class Condition(ApiModel):
    """One statement about a tenant, with a reason and a message that a person can act on."""

    model_config = ConfigDict(json_schema_extra=ATOMIC)

    type: str
    """Accepted, Provisioned, VolumeReady, Awake or Idle."""
    status: Literal["True", "False", "Unknown"]
    """Whether the statement holds."""
    reason: str = ""
    """One CamelCase word for programs."""
    message: str = ""
    """A sentence for people: what is wrong and what to do."""
    observed_generation: int | None = None
    """The generation of spec that this was said about."""
    last_transition_time: Timestamp | None = None
    """When the status changed last."""


class PodRef(ApiModel):
    """The incarnation of the gateway that is up."""

    model_config = ConfigDict(json_schema_extra=ATOMIC)

    name: str = ""
    """Name of the pod."""
    uid: str = ""
    """UID of the pod: it fences one incarnation from the next."""
    ip: str = ""
    """Address that the router dials."""


class Usage(ApiModel):
    """What the tenant has used so far."""

    model_config = ConfigDict(json_schema_extra=ATOMIC)

    awake_seconds: int = 0
    """Seconds awake in total."""
    wakes: int = 0
    """Wakes in total."""


class TenantStatus(ApiModel):
    """What the operator has seen of a tenant."""

    phase: Literal["Asleep", "Waking", "Awake", "Suspending", "Suspended", "Failed"] | None = None
    """Where the tenant's gateway stands."""
    observed_generation: int | None = None
    """The generation of spec that the operator has dealt with."""
    conditions: list[Condition] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """Statements about the tenant, one of each type."""
    last_active_time: Timestamp | None = None
    """Last real request, coarsely."""
    next_wake_time: Timestamp | None = None
    """When the gateway must be woken for its own schedule (cron)."""
    template_version: str | None = None
    """Version of the template that the tenant's volume and config come from."""
    pod: PodRef | None = None
    """The pod, while there is one."""
    connections: int | None = None
    """Sockets open when the operator looked last."""
    usage: Usage | None = None
    """What the tenant has used so far."""
