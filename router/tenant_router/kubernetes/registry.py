"""Who has which token, from Tenants and TenantTemplates as they come. Pure, no I/O; every call costs what changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tenant_api.durations import parse_duration
from tenant_api.passive import DEFAULT_PASSIVE_METHODS

from ..expiries import Expiries
from ..fleet import Limits, TenantRecord, TokenMatch
from .objects import IdleSpec, LimitsSpec, Template, Tenant

log = logging.getLogger(__name__)

DEFAULT_WAKE = 60.0
"""Seconds for a wake where the template is missing or unreadable: `TenantTemplate.spec.wake.timeout`'s own default."""

PASSIVE: Final = frozenset(DEFAULT_PASSIVE_METHODS)
"""Where a template says nothing (`TenantTemplate.spec.idle.passiveMethods`)."""


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """What the router takes from a TenantTemplate."""

    version: str = ""
    runtime: str = "native"
    limits: Limits = field(default_factory=Limits)
    wake_timeout: float = DEFAULT_WAKE
    plan: str = "standard"
    weight: int = 1
    passive_methods: Set[str] = PASSIVE


NO_TEMPLATE = TemplateEntry()


@dataclass(slots=True, eq=False)
class TenantEntry:
    """What the router keeps of a Tenant."""

    namespace: str
    name: str
    uid: str
    created: str
    """`metadata.creationTimestamp`: RFC 3339 in UTC, which sorts as text."""
    template: tuple[str, str]
    """(namespace, name)."""
    power: str
    own_limits: Limits
    tokens: dict[bytes, tuple[str, float | None]]
    """Digest → (name, expiry in seconds since the epoch)."""
    phase: str
    problem: str
    """What the operator says is wrong with it; empty: nothing."""
    record: TenantRecord | None = field(default=None, repr=False)
    """Made on first use, and again after its template has changed."""
    made_from: TemplateEntry | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """Name of the tenant in the router."""
        return f"{self.namespace}/{self.name}"

    @property
    def age(self) -> tuple[str, str]:
        """Sorts tenants by age. Timestamps have whole seconds, so the UID decides between two of one second."""
        return self.created, self.uid


@dataclass(frozen=True, slots=True)
class Held:
    """A token and who keeps it."""

    tenant: TenantEntry
    name: str
    expires_at: float | None


Revocation = tuple[str, frozenset[str] | None]
"""A tenant's key, and the names of its tokens that stopped working (None: all of them)."""


class Registry:
    """All tenants of the served namespaces. Of two tenants with one token the older keeps it."""

    def __init__(self) -> None:
        self._tenants: dict[str, TenantEntry] = {}
        self._templates: dict[tuple[str, str], TemplateEntry] = {}
        self._tokens: dict[bytes, Held] = {}
        self._rivals: dict[bytes, list[TenantEntry]] = {}
        """Tenants that claim a token that an older one keeps."""
        self._expiries = Expiries()

    def __len__(self) -> int:
        return len(self._tenants)

    def __iter__(self) -> Iterator[TenantEntry]:
        return iter(self._tenants.values())

    def get(self, key: str) -> TenantEntry | None:
        """Return a tenant, if there is one."""
        return self._tenants.get(key)

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return who has the token with this SHA-256 digest."""
        held = self._tokens.get(digest)
        return None if held is None else TokenMatch(self.record(held.tenant), held.name, held.expires_at)

    def record(self, entry: TenantEntry) -> TenantRecord:
        """Return a tenant as the router sees it, with its template's answers where it has none of its own."""
        template = self.template(entry)
        if entry.record is None or entry.made_from is not template:
            own, default = entry.own_limits, template.limits
            entry.made_from = template
            entry.record = TenantRecord(
                key=entry.key,
                runtime=template.runtime,
                suspended=entry.power == "Suspended",
                limits=Limits(
                    connections=own.connections or default.connections,
                    requests_per_minute=own.requests_per_minute or default.requests_per_minute,
                    wakes_per_hour=own.wakes_per_hour or default.wakes_per_hour,
                ),
                wake_timeout=template.wake_timeout,
                plan=template.plan,
                weight=template.weight,
            )
        return entry.record

    def template(self, entry: TenantEntry) -> TemplateEntry:
        """Return the template that a tenant is made from; defaults while it is not there."""
        return self._templates.get(entry.template, NO_TEMPLATE)

    # Tenants

    def put_tenant(self, tenant: Tenant) -> list[Revocation]:
        """Take in a tenant that is new or changed; return whose connections end by that."""
        if tenant.metadata.deletion_timestamp is not None:
            return self.remove_tenant(f"{tenant.metadata.namespace}/{tenant.metadata.name}")
        entry = _entry(tenant)
        before = self._tenants.get(entry.key)
        revoked: list[Revocation] = []
        if before is not None and before.uid != entry.uid:
            revoked += self.remove_tenant(entry.key)
            before = None
        self._tenants[entry.key] = entry
        if before is not None:
            revoked += self._move(before, entry)
        for digest in entry.tokens:
            revoked += self._claim(digest, entry)
        if entry.power == "Suspended" and (before is None or before.power != "Suspended"):
            revoked.append((entry.key, None))
        return revoked

    def remove_tenant(self, key: str) -> list[Revocation]:
        """Forget a tenant; return whose connections end by that."""
        entry = self._tenants.pop(key, None)
        if entry is None:
            return []
        for digest in entry.tokens:
            self._release(digest, entry)
        return [(key, None)]

    def names(self, namespace: str) -> list[str]:
        """Return the names of a namespace's tenants."""
        return [entry.name for entry in self._tenants.values() if entry.namespace == namespace]

    def _move(self, before: TenantEntry, entry: TenantEntry) -> list[Revocation]:
        """Put a tenant's new version in the place of its old one; return the tokens that are gone."""
        lost: set[str] = set()
        for digest, (name, _) in before.tokens.items():
            held = self._tokens.get(digest)
            mine = held is not None and held.tenant is before
            if digest not in entry.tokens:
                self._release(digest, before)
                if mine:
                    lost.add(name)
                continue
            if mine:
                self._hold(digest, entry)
                # Connections are known by the token's name, so a renamed one would escape its later revocation.
                if entry.tokens[digest][0] != name:
                    lost.add(name)
            else:
                self._drop_rival(digest, before)
        return [(entry.key, frozenset(lost))] if lost else []

    def _claim(self, digest: bytes, entry: TenantEntry) -> list[Revocation]:
        held = self._tokens.get(digest)
        if held is None:
            self._hold(digest, entry)
            return []
        if held.tenant is entry:
            return []
        other = held.tenant
        log.warning("%s and %s claim one token: the older keeps it", entry.key, other.key)
        if other.age <= entry.age:
            self._rivals.setdefault(digest, []).append(entry)
            return []
        self._rivals.setdefault(digest, []).append(other)
        self._hold(digest, entry)
        return [(other.key, frozenset({held.name}))]

    def _hold(self, digest: bytes, entry: TenantEntry) -> None:
        name, expires_at = entry.tokens[digest]
        before = self._tokens.get(digest)
        self._tokens[digest] = Held(entry, name, expires_at)
        if before is None or before.expires_at != expires_at:
            self._expiries.note(digest, expires_at)

    def _release(self, digest: bytes, entry: TenantEntry) -> None:
        held = self._tokens.get(digest)
        if held is None or held.tenant is not entry:
            self._drop_rival(digest, entry)
            return
        del self._tokens[digest]
        if rivals := self._rivals.get(digest):
            heir = min(rivals, key=lambda rival: rival.age)
            self._drop_rival(digest, heir)
            self._hold(digest, heir)

    def _drop_rival(self, digest: bytes, entry: TenantEntry) -> None:
        rivals = [rival for rival in self._rivals.get(digest, ()) if rival is not entry]
        if rivals:
            self._rivals[digest] = rivals
        else:
            self._rivals.pop(digest, None)

    def rivalries(self, entry: TenantEntry) -> list[tuple[str, str]]:
        """Return (name of the token, key of the tenant that keeps it) for what an older tenant keeps from this one."""
        found = []
        for digest, (name, _) in entry.tokens.items():
            held = self._tokens.get(digest)
            if held is not None and held.tenant is not entry:
                found.append((name, held.tenant.key))
        return found

    def expired(self, now: float) -> list[tuple[str, frozenset[str]]]:
        """Return the tokens whose time has come since the last call. `now`: seconds since the epoch."""
        return self._expiries.due(now, self.find)

    # Templates

    def put_template(self, template: Template) -> None:
        """Take in a template that is new or changed. Its tenants' records follow at their next use."""
        meta, spec = template.metadata, template.spec
        timeout, plan, weight = DEFAULT_WAKE, "standard", 1
        if spec.wake is not None:
            plan, weight = spec.wake.plan, spec.wake.weight
            try:
                timeout = parse_duration(spec.wake.timeout)
            except ValueError as error:
                log.error("template %s/%s: spec.wake.timeout %s", meta.namespace, meta.name, error)
        self._templates[meta.namespace, meta.name] = TemplateEntry(
            spec.version, spec.runtime, _limits(spec.limits), timeout, plan, weight, _passive(spec.idle)
        )

    def remove_template(self, namespace: str, name: str) -> None:
        """Forget a template; its tenants get the defaults."""
        self._templates.pop((namespace, name), None)

    def template_names(self, namespace: str) -> list[str]:
        """Return the names of a namespace's templates."""
        return [name for where, name in self._templates if where == namespace]


def _limits(spec: LimitsSpec | None) -> Limits:
    return Limits() if spec is None else Limits(spec.connections, spec.requests_per_minute, spec.wakes_per_hour)


def _passive(spec: IdleSpec | None) -> Set[str]:
    # An empty list is a choice: then every request counts.
    return PASSIVE if spec is None or spec.passive_methods is None else frozenset(spec.passive_methods)


def _entry(tenant: Tenant) -> TenantEntry:
    meta, spec, status = tenant.metadata, tenant.spec, tenant.status
    tokens: dict[bytes, tuple[str, float | None]] = {}
    for token in spec.tokens or ():
        try:
            expires = datetime.fromisoformat(token.expires_at).timestamp() if token.expires_at is not None else None
            tokens[bytes.fromhex(token.sha256)] = token.name, expires
        except ValueError as error:  # the CRD's schema keeps these out; one bad token must not cost the others
            log.error("tenant %s/%s: token %s: %s", meta.namespace, meta.name, token.name, error)
    problem = ""
    for condition in (status.conditions or ()) if status is not None else ():
        if condition.type in ("Accepted", "Provisioned", "VolumeReady") and condition.status == "False":
            problem = f"{condition.reason or condition.type}: {condition.message or ''}".rstrip(": ")
            break
    return TenantEntry(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        created=meta.creation_timestamp or "",
        template=(meta.namespace, spec.template_ref.name),
        power=spec.power,
        own_limits=_limits(spec.limits),
        tokens=tokens,
        phase=(status.phase or "") if status is not None else "",
        problem=problem,
    )
