"""TenantTemplate: what tenants are made from, as a resource."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from tenant_api.config.paths import parse_path
from tenant_api.durations import DurationSeconds
from tenant_api.egress import EgressText
from tenant_api.metadata import ObjectMeta
from tenant_api.names import MAX_LABEL, DnsLabel, EnvName, LabelKey, LabelValue
from tenant_api.passive import DEFAULT_PASSIVE_METHODS
from tenant_api.quantities import ByteSize, Quantity
from tenant_api.schema import API_VERSION, ApiModel, cel
from tenant_api.tenant import Limits
from tenant_api.tenant_status import Condition

MAX_CONFIG_CHARS: Final = 64 * 1024
"""Length of a template's config text; upstream's fully commented example has 25,000 characters."""


def _protected(text: str) -> str:
    try:
        parse_path(text)
    except ValueError as error:
        hint = 'write e.g. gateway.auth, models.providers.*.baseUrl or models.providers["my.provider"]'
        raise PydanticCustomError("config_path", "{problem}", {"problem": str(error), "hint": hint}) from None
    return text


ConfigPath = Annotated[
    str, AfterValidator(_protected), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 512})
]


class KeyRef(ApiModel):
    """One key of a Secret or ConfigMap in the tenant's namespace."""

    name: DnsLabel
    """Name of the Secret or ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """The key in it."""
    optional: bool = False
    """Whether the gateway starts without the variable where the key is missing."""


class EnvSource(ApiModel):
    """Where the value of an environment variable comes from."""

    secret_key_ref: KeyRef | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap; there are none on one machine."""

    @model_validator(mode="after")
    def _one_source(self) -> EnvSource:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise PydanticCustomError(
                "env_source",
                "{problem}",
                {"problem": "needs one source", "hint": "write secretKeyRef or configMapKeyRef"},
            )
        return self


class EnvVar(ApiModel):
    """One environment variable of the gateway."""

    name: EnvName
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32_768)] | None = None
    """Its value, for everybody to read. Keys belong in a Secret."""
    value_from: EnvSource | None = None
    """Where its value comes from instead."""

    @model_validator(mode="after")
    def _one_value(self) -> EnvVar:
        if self.value is not None and self.value_from is not None:
            raise PydanticCustomError(
                "env_value", "{problem}", {"problem": "has both value and valueFrom", "hint": "remove one of them"}
            )
        return self


class ClaimRef(ApiModel):
    """A PersistentVolumeClaim of the tenants' own namespace."""

    claim_name: DnsLabel
    """Name of the claim."""


class SnapshotRef(ApiModel):
    """A VolumeSnapshot of the tenants' own namespace."""

    name: DnsLabel
    """Name of the snapshot."""


class VolumeSource(ApiModel):
    """What a tenant's volume starts as a copy of: one of three."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "[has(self.persistentVolumeClaim), has(self.volumeSnapshot), has(self.path)].filter(s, s).size() == 1",
                "name one source: persistentVolumeClaim, volumeSnapshot or path",
            )
        )
    )

    persistent_volume_claim: ClaimRef | None = None
    """A claim to clone; its storage class must have the same provisioner."""
    volume_snapshot: SnapshotRef | None = None
    """A snapshot to restore."""
    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A directory to copy, on one machine only. A relative path starts at the file that names it."""

    @model_validator(mode="after")
    def _one_source(self) -> VolumeSource:
        named = [
            source for source in (self.persistent_volume_claim, self.volume_snapshot, self.path) if source is not None
        ]
        if len(named) != 1:
            raise PydanticCustomError(
                "volume_source",
                "{problem}",
                {
                    "problem": "names no source" if not named else "names several sources",
                    "hint": "name one: persistentVolumeClaim, volumeSnapshot or, on one machine, path",
                },
            )
        if self.path is not None and "\0" in self.path:
            raise PydanticCustomError(
                "path", "{problem}", {"problem": "holds a NUL byte", "hint": "remove it", "at": ("path",)}
            )
        return self


AccessMode = Literal["ReadWriteOnce", "ReadWriteOncePod"]


class TemplateVolume(ApiModel):
    """The volume of each tenant: OpenClaw's state directory with workspace, sessions and memory."""

    source: VolumeSource | None = None
    """What the volume starts as a copy of. Left out: it starts empty."""
    size: ByteSize = Field(default=5 * 2**30)
    """Size of the volume, where the tenant asks for none of its own."""
    storage_class_name: Annotated[str, Field(max_length=253)] | None = None
    """Storage class. Left out: the cluster's default."""
    access_modes: list[AccessMode] = Field(default=["ReadWriteOnce"])
    """Access modes. One gateway owns one state directory, so nothing that lets two nodes write."""
    prebind: bool = False
    """Binds a WaitForFirstConsumer volume when the tenant is made, with a one-off pod, instead of at its first wake."""


class ResourceRequirements(ApiModel):
    """What a gateway gets of the machine."""

    requests: dict[LabelKey, Quantity] = Field(default_factory=dict)
    """What the scheduler sets aside, e.g. cpu and memory."""
    limits: dict[LabelKey, Quantity] = Field(default_factory=dict)
    """What the gateway may not exceed. On one machine: memory, as far as the OS offers it."""


class Toleration(ApiModel):
    """A node's taint that the tenants' pods put up with."""

    key: str | None = None
    """Key of the taint; left out with operator Exists: every taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How value is compared."""
    value: str | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Left out: all effects."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is put up with. Left out: for ever."""


class TemplateIdle(ApiModel):
    """When a tenant counts as idle."""

    timeout: DurationSeconds = 900.0
    """Time without a real request after which the gateway is put to sleep, once it says that nothing is running."""
    passive_methods: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        default_factory=lambda: list(DEFAULT_PASSIVE_METHODS),
        description="Gateway methods that clients call by themselves, and that keep nothing awake. Takes the place of the "
        f"default list: {', '.join(DEFAULT_PASSIVE_METHODS)}. Name only methods that change nothing: the router calls them "
        "once more before the gateway sleeps, to answer them itself while it does. A change counts at once, for connected "
        "clients too.",
    )


class TemplateWake(ApiModel):
    """How a tenant is woken."""

    timeout: DurationSeconds = 60.0
    """Time from the start of a wake until it is given up."""
    plan: DnsLabel = "standard"
    """Plan by which wakes are admitted when many want to wake at once."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Share of the plan's wakes that one tenant gets against another."""
    cpu_limit: Quantity | None = None
    """CPU limit of a gateway while it starts, above that of resources, which applies once it is ready. On Kubernetes only."""


class TemplateUpdate(ApiModel):
    """When a changed template reaches a tenant that is awake."""

    deadline: DurationSeconds | None = None
    """How long a change may wait for the tenant's next sleep; after that its gateway is restarted. Left out: for ever."""


class TenantTemplateSpec(ApiModel):
    """What tenants are made from."""

    version: Annotated[
        str, Field(min_length=1, max_length=MAX_LABEL, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    ]
    """Version of the template: change it with every change that tenants can pin themselves against."""
    runtime: Literal["native", "openclaw"] = "native"
    """The gateway that serves a tenant: ours (small, quick to wake) or upstream's own (everything)."""
    image: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Container image of the gateway. Left out: the operator's for this runtime. Has no meaning on one machine."""
    volume: TemplateVolume = TemplateVolume()
    """The volume of each tenant."""
    config: Annotated[str, Field(max_length=MAX_CONFIG_CHARS)] = "{}"
    """OpenClaw config as JSON5 text, a jinja2 template over tenant.name, tenant.userId, tenant.labels, tenant.annotations."""
    protected: Annotated[list[ConfigPath], Field(max_length=256)] = Field(default_factory=list)
    """Config paths that no tenant's overlay may touch, e.g. `models.providers` or `models.providers.*.baseUrl`."""
    env: Annotated[list[EnvVar], Field(max_length=256)] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Environment of the gateway."""
    resources: ResourceRequirements = ResourceRequirements()
    """What the gateway gets of the machine."""
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of the nodes that may run the tenants' pods."""
    tolerations: Annotated[list[Toleration], Field(max_length=64)] = Field(default_factory=list)
    """Taints that the tenants' pods put up with."""
    runtime_class_name: DnsLabel | None = None
    """RuntimeClass of the tenants' pods, e.g. that of gVisor or Kata."""
    priority_class_name: DnsLabel | None = None
    """PriorityClass of the tenants' pods."""
    egress: Annotated[list[EgressText], Field(max_length=64)] = Field(default_factory=list)
    """Where the gateways may go besides public HTTPS, DNS and what the operator allows: network:port, e.g. 10.1.2.0/24:8080."""
    idle: TemplateIdle = TemplateIdle()
    """When a tenant counts as idle."""
    limits: Limits = Limits()
    """What each tenant may ask for, where it has no limits of its own."""
    wake: TemplateWake = TemplateWake()
    """How a tenant is woken."""
    update: TemplateUpdate = TemplateUpdate()
    """When a changed template reaches a tenant that is awake."""


class TenantTemplateStatus(ApiModel):
    """What the operator has seen of a template."""

    observed_generation: int | None = None
    """The generation of spec that the operator has dealt with."""
    conditions: list[Condition] = Field(
        default_factory=list,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """Statements about the template, one of each type."""
    tenants: int | None = None
    """How many tenants are made from this template."""


class TenantTemplate(ApiModel):
    """What tenants are made from: volume, config, runtime, resources, idle policy and limits. Versioned."""

    api_version: Literal["openclaw-tenancy.dev/v1alpha1"] = API_VERSION
    """Group and version of the resource."""
    kind: Literal["TenantTemplate"] = "TenantTemplate"
    """Kind of the resource."""
    metadata: ObjectMeta
    """Name, labels and annotations."""
    spec: TenantTemplateSpec
    """What tenants are made from."""
    status: TenantTemplateStatus = TenantTemplateStatus()
    """What the operator has seen of this template; nobody else writes it."""

    @property
    def name(self) -> str:
        """The template's name."""
        return self.metadata.name
