"""As much of each object as reconciling needs. The rest of it is dropped while the event is handled."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apiserver.resources import Json
from ..objects.claim import BoundFacts


@dataclass(slots=True, eq=False)
class Record:
    """What all records have."""

    namespace: str
    name: str
    uid: str
    version: int
    """`metadata.resourceVersion`; the API server counts upwards, so the larger one is newer."""
    tenant: str
    """Name of the tenant that the object belongs to, of the Tenant itself, or of the template."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of the tenant (or template) that is to be reconciled when this changes."""
        return self.namespace, self.tenant


@dataclass(slots=True, eq=False)
class TenantRecord(Record):
    """A Tenant. Spec and labels stay encoded until they are worked on: a tenth of the memory."""

    created: str
    deleted: bool
    generation: int
    template: str
    tokens: tuple[bytes, ...]
    """Digests."""
    power: str
    source: bytes = field(repr=False)
    """metadata (without managedFields) and spec, as JSON."""
    status: bytes = field(repr=False)
    """status, as JSON."""

    @property
    def age(self) -> tuple[str, str]:
        """Sorts tenants by age. Timestamps have whole seconds, so the UID decides between two of one second."""
        return self.created, self.uid


@dataclass(slots=True, eq=False)
class TemplateRecord(Record):
    """A TenantTemplate."""

    generation: int
    source: bytes = field(repr=False)
    status: bytes = field(repr=False)


@dataclass(slots=True, eq=False)
class ChildRecord(Record):
    """A Deployment or Secret, which the operator applies whole."""

    owner: str
    """UID of the tenant that owns it; empty: nobody."""
    applied: str
    """Hash that the object was stamped with."""
    fingerprint: bytes
    """Hash of what the object says, defaults included: another one means that somebody changed it."""
    content: bytes = field(repr=False)
    """What the object says, until it was compared with what it should say; empty afterwards."""
    marks: dict[str, str] = field(default_factory=dict)
    """Our annotations."""


@dataclass(slots=True, eq=False)
class DeploymentRecord(ChildRecord):
    """A Deployment."""

    replicas: int = 0
    resource_version: str = ""
    failure: str = ""
    """Why it can't make its pod (condition ReplicaFailure), e.g. a quota."""


@dataclass(slots=True, eq=False)
class ClaimRecord(Record):
    """A PersistentVolumeClaim."""

    owner: str
    phase: str
    facts: BoundFacts
    user: str
    retained: str
    resource_version: str
    created: str


@dataclass(slots=True, eq=False)
class PodRecord(Record):
    """A pod of a gateway, or the one-off pod that binds a volume."""

    component: str
    ip: str
    phase: str
    ready: bool
    terminating: bool
    created: float
    """Seconds since 1970."""
    ready_since: float
    trouble: tuple[str, str] | None
    """Reason and message of what keeps it from running."""
    cpu_limit: str = ""
    """Of its container `gateway`."""
    template: str = ""
    """Name of the template that it was made from, by its label."""


@dataclass(slots=True)
class TenantView:
    """All that is known of one tenant."""

    tenant: TenantRecord | None
    deployment: DeploymentRecord | None
    claim: ClaimRecord | None
    secret: ChildRecord | None
    pods: list[PodRecord]

    @property
    def pod(self) -> PodRecord | None:
        """The gateway's newest pod that is not on its way out."""
        running = [pod for pod in self.pods if not pod.terminating and pod.phase not in ("Succeeded", "Failed")]
        return max(running, key=lambda pod: pod.created, default=None)


Essence = Json
"""The part of an object that the operator compares."""
