"""Tenant: one user's OpenClaw, as a resource."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from tenant_api.durations import DurationSeconds
from tenant_api.metadata import ObjectMeta
from tenant_api.names import DnsLabel, UserId
from tenant_api.plain_json import JsonObject
from tenant_api.quantities import ByteSize
from tenant_api.schema import API_VERSION, PRESERVE_UNKNOWN, ApiModel, cel
from tenant_api.tenant_status import TenantStatus

MAX_TOKENS: Final = 64
"""Tokens of one tenant: a token a device, and no list that makes a resource grow without end."""

NEVER_IN_CLEAR: Final = (
    "a token is never written in clear: run `openclaw-tenancy token new NAME`, which prints it once and stores its hash"
)


def _sha256(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return text
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise PydanticCustomError(
            "sha256", "{problem}", {"problem": "has upper-case digits", "hint": "write the 64 hex digits in lower case"}
        )
    if re.fullmatch(r"(sha256[:-])?[0-9a-fA-F]*", text):
        hint = "write the 64 lower-case hex digits of the token's SHA-256 and nothing else"
        raise PydanticCustomError("sha256", "{problem}", {"problem": "is no SHA-256", "hint": hint})
    # Never show the value: it may well be the token itself.
    raise PydanticCustomError(
        "sha256", "{problem}", {"problem": "is no SHA-256 but looks like a token in clear", "hint": NEVER_IN_CLEAR}
    )


def _instant(value: object) -> object:
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            parsed = None
        if parsed is None or parsed.tzinfo is None:
            raise PydanticCustomError(
                "instant",
                "{problem}",
                {
                    "problem": "is no time with a zone" if parsed is None else "has no time zone",
                    "hint": "write e.g. 2030-01-31T12:00:00Z",
                },
            )
        return parsed
    return value


Sha256Hex = Annotated[
    str, AfterValidator(_sha256), WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$", "maxLength": 64})
]


class Token(ApiModel):
    """One token of a tenant, known only by its hash."""

    name: DnsLabel
    """What the token is for, e.g. the device that has it; shown in logs and by `openclaw-tenancy tenants`."""
    sha256: Sha256Hex
    """SHA-256 of the token as 64 lower-case hex digits. Never the token itself."""
    expires_at: Annotated[AwareDatetime, BeforeValidator(_instant)] | None = None
    """When the token stops working (RFC 3339 with zone). Left out: never."""


class TemplateRef(ApiModel):
    """Which template a tenant is made from."""

    name: DnsLabel
    """Name of the TenantTemplate, in the tenant's own namespace."""
    version: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Pins the tenant to this `spec.version` of the template. Left out: the tenant follows the newest one."""


class SecretRef(ApiModel):
    """A Secret of the tenant's own namespace."""

    name: DnsLabel
    """Name of the Secret; each of its keys becomes an environment variable."""


class Credentials(ApiModel):
    """Where the gateway's keys come from."""

    secret_ref: SecretRef
    """Secret whose entries are the gateway's environment: API keys of model providers and the like."""


class TenantIdle(ApiModel):
    """When a tenant counts as idle, where its template's answer does not fit."""

    timeout: DurationSeconds | None = None
    """Time without a real request after which the gateway is put to sleep. Left out: the template's."""


class Limits(ApiModel):
    """What a tenant may ask for. A field left out: the template's limit, else none."""

    connections: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Sockets open at the same time. Each router replica counts its own: with N replicas up to N times as many."""
    requests_per_minute: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Requests in any minute: WebSocket connects and HTTP requests. Each router replica counts its own."""
    wakes_per_hour: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How often the gateway may be woken in any hour. Each router replica counts the wakes that it began."""


class TenantStorage(ApiModel):
    """The tenant's volume."""

    size: ByteSize | None = None
    """Size of the volume. Left out: the template's."""
    reclaim: Literal["Delete", "Retain"] = "Delete"
    """What becomes of the volume when the tenant is deleted."""


class TenantSpec(ApiModel):
    """What the backend wants of a tenant."""

    user_id: UserId = Field(json_schema_extra=cel(("self == oldSelf", "userId never changes: make a new Tenant")))
    """The user as the cloud backend knows him. Never changes."""
    template_ref: TemplateRef
    """The template that the tenant is made from."""
    tokens: Annotated[list[Token], Field(max_length=MAX_TOKENS)] = Field(
        default_factory=list,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **cel(
                (
                    "self.all(a, self.exists_one(b, a.sha256 == b.sha256))",
                    "one token is listed twice: remove one of the two entries with the same sha256",
                )
            ),
        },
    )
    """Tokens that open this tenant; several are valid at once, so that one can be replaced without a gap."""
    config: JsonObject = Field(default_factory=dict, json_schema_extra=PRESERVE_UNKNOWN)
    """Overlay on the template's OpenClaw config: objects merge, lists and scalars replace, null removes."""
    credentials: Credentials | None = None
    """Where the gateway's keys come from. Left out: from the template's environment alone."""
    power: Literal["Auto", "AlwaysOn", "Suspended"] = "Auto"
    """Auto sleeps when idle and wakes on demand; AlwaysOn never sleeps; Suspended refuses every connection."""
    idle: TenantIdle = TenantIdle()
    """When the tenant counts as idle."""
    limits: Limits = Limits()
    """What the tenant may ask for."""
    storage: TenantStorage = TenantStorage()
    """The tenant's volume."""

    @model_validator(mode="after")
    def _tokens_differ(self) -> TenantSpec:
        names: set[str] = set()
        hashes: set[str] = set()
        for token in self.tokens:
            if token.name in names or token.sha256 in hashes:
                what = f"two tokens are named {token.name!r}" if token.name in names else "one token is listed twice"
                raise PydanticCustomError(
                    "tokens_differ",
                    "{problem}",
                    {"problem": what, "hint": f"remove one, e.g. that named {token.name!r}", "at": ("tokens",)},
                )
            names.add(token.name)
            hashes.add(token.sha256)
        return self


class Tenant(ApiModel):
    """One user's OpenClaw: its config, workspace, sessions and tokens. Sleeps until somebody talks to it."""

    api_version: Literal["openclaw-tenancy.dev/v1alpha1"] = API_VERSION
    """Group and version of the resource."""
    kind: Literal["Tenant"] = "Tenant"
    """Kind of the resource."""
    metadata: ObjectMeta
    """Name, labels and annotations."""
    spec: TenantSpec
    """What the backend wants of this tenant."""
    status: TenantStatus = TenantStatus()
    """What the operator has seen of this tenant; nobody else writes it."""

    @property
    def name(self) -> str:
        """The tenant's name."""
        return self.metadata.name
