"""As much of the API's objects as the router reads. Unknown fields are skipped while decoding, so they cost no memory."""

from __future__ import annotations

import msgspec


class _Object(msgspec.Struct, rename="camel", gc=False):
    """Every field has a default: what an API server leaves out is empty, and nothing here makes a page of a list fail."""


class Meta(_Object):
    """ObjectMeta."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None


class Named(_Object):
    """Any object, when only its name counts."""

    metadata: Meta = msgspec.field(default_factory=Meta)


class ListMeta(_Object):
    """Where a list stands, and how to get the rest of it."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(_Object):
    """One page of a list. The items stay encoded: one that can't be read must not hide the others."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


class WatchEvent(_Object):
    """One line of a watch."""

    object: msgspec.Raw
    type: str = ""


class Status(_Object):
    """What the API server says when it refuses."""

    code: int = 0
    reason: str = ""
    message: str = ""


class Condition(_Object):
    """One condition of a pod or a tenant."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None


# Tenant and TenantTemplate (tenant_api.tenant, tenant_api.template)


class TokenHash(_Object):
    """`Tenant.spec.tokens[]`."""

    name: str = ""
    sha256: str = ""
    expires_at: str | None = None


class LimitsSpec(_Object):
    """`limits` of a tenant or template."""

    connections: int | None = None
    requests_per_minute: int | None = None
    wakes_per_hour: int | None = None


class TemplateRef(_Object):
    """`Tenant.spec.templateRef`."""

    name: str = ""


class TenantSpec(_Object):
    """`Tenant.spec`."""

    template_ref: TemplateRef = msgspec.field(default_factory=TemplateRef)
    tokens: list[TokenHash] | None = None
    power: str = "Auto"
    limits: LimitsSpec | None = None


class TenantStatus(_Object):
    """`Tenant.status`, which the operator writes."""

    phase: str | None = None
    conditions: list[Condition] | None = None


class Tenant(Named):
    """A Tenant."""

    spec: TenantSpec = msgspec.field(default_factory=TenantSpec)
    status: TenantStatus | None = None


class IdleSpec(_Object):
    """`TenantTemplate.spec.idle`."""

    passive_methods: list[str] | None = None


class WakeSpec(_Object):
    """`TenantTemplate.spec.wake`."""

    timeout: str = "60s"
    plan: str = "standard"
    weight: int = 1


class TemplateSpec(_Object):
    """`TenantTemplate.spec`."""

    version: str = ""
    runtime: str = "native"
    limits: LimitsSpec | None = None
    idle: IdleSpec | None = None
    wake: WakeSpec | None = None


class Template(Named):
    """A TenantTemplate."""

    spec: TemplateSpec = msgspec.field(default_factory=TemplateSpec)


# Pods and events


class ContainerPort(_Object):
    """`Pod.spec.containers[].ports[]`."""

    name: str = ""
    container_port: int = 0


class Container(_Object):
    """`Pod.spec.containers[]`."""

    name: str = ""
    ports: list[ContainerPort] | None = None


class PodSpec(_Object):
    """`Pod.spec`."""

    node_name: str = ""
    containers: list[Container] | None = None


class Waiting(_Object):
    """`ContainerState.waiting`."""

    reason: str = ""
    message: str = ""


class Terminated(_Object):
    """`ContainerState.terminated`."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""


class ContainerState(_Object):
    """`ContainerStatus.state` and `lastState`."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Object):
    """`Pod.status.containerStatuses[]`."""

    name: str = ""
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class PodStatus(_Object):
    """`Pod.status`."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(Named):
    """A Pod."""

    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class ObjectReference(_Object):
    """`Event.involvedObject`."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class Event(Named):
    """A core/v1 Event."""

    involved_object: ObjectReference = msgspec.field(default_factory=ObjectReference)
    reason: str = ""
    message: str = ""
    last_timestamp: str | None = None
    event_time: str | None = None
