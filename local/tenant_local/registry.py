"""What the Tenant files say right now, and what an edit changed."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from tenant_api.load import load_directory
from tenant_api.loaded import FileError, Loaded
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_router.expiries import Expiries
from tenant_router.fleet import Limits, TenantRecord, TokenMatch


class UnknownTenant(Exception):
    """There is no tenant of this name."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tenant with the template that it is made from."""

    tenant: Tenant
    template: TenantTemplate
    source: Path | None
    """The template's folder (`spec.volume.source.path`), made absolute."""
    passive_methods: Set[str]
    """Methods whose requests are no use of it (`spec.idle.passiveMethods`)."""

    @property
    def idle_timeout(self) -> float:
        """Seconds without a real request until it may sleep."""
        own = self.tenant.spec.idle.timeout
        return self.template.spec.idle.timeout if own is None else own

    def record(self) -> TenantRecord:
        """Return the tenant as the router sees it."""
        spec, wake = self.tenant.spec, self.template.spec.wake
        own, default = spec.limits, self.template.spec.limits
        return TenantRecord(
            key=self.tenant.name,
            runtime=self.template.spec.runtime,
            suspended=spec.power == "Suspended",
            limits=Limits(
                connections=own.connections or default.connections,
                requests_per_minute=own.requests_per_minute or default.requests_per_minute,
                wakes_per_hour=own.wakes_per_hour or default.wakes_per_hour,
            ),
            wake_timeout=wake.timeout,
            plan=wake.plan,
            weight=wake.weight,
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit of the files changed, by names of tenants."""

    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    """The tenant's own resource, its template or a secret of it changed."""
    revoked: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of tokens that stopped working, by tenant."""


class Registry:
    """The resources in force: the files as they are, and where one is broken, what it said before."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._loaded = Loaded()
        self._tokens: dict[bytes, TokenMatch] = {}
        self._resolved: dict[str, Resolved] = {}
        self._expiries = Expiries()

    @property
    def loaded(self) -> Loaded:
        """Everything in force."""
        return self._loaded

    @property
    def errors(self) -> list[FileError]:
        """What is wrong in the files now."""
        return self._loaded.errors

    def read(self) -> Loaded:
        """Return what the files say, with what is broken replaced by what was good. Blocks; call it in a thread."""
        return load_directory(self.directory, self._loaded).keeping(self._loaded)

    def apply(self, loaded: Loaded) -> Edit:
        """Put what `read` returned in force and return what that changed."""
        resolved = {name: found for name in loaded.tenants if (found := _resolve(loaded, name)) is not None}
        tokens: dict[bytes, TokenMatch] = {}
        for found in resolved.values():
            record = found.record()
            for token in found.tenant.spec.tokens:
                expires = token.expires_at.timestamp() if token.expires_at is not None else None
                tokens[bytes.fromhex(token.sha256)] = TokenMatch(record, token.name, expires)
        for digest, match in tokens.items():
            held = self._tokens.get(digest)
            if held is None or held.expires_at != match.expires_at:
                self._expiries.note(digest, match.expires_at)
        edit = self._compare(loaded, resolved, tokens)
        self._loaded, self._resolved, self._tokens = loaded, resolved, tokens
        return edit

    def _compare(self, loaded: Loaded, resolved: dict[str, Resolved], tokens: dict[bytes, TokenMatch]) -> Edit:
        before = self._resolved
        both = before.keys() & resolved.keys()
        secrets_differ = {
            name
            for name in loaded.secrets.keys() | self._loaded.secrets.keys()
            if loaded.secrets.get(name) != self._loaded.secrets.get(name)
        }
        changed = {
            name for name in both if before[name] != resolved[name] or secret_names(resolved[name]) & secrets_differ
        }
        revoked: dict[str, frozenset[str]] = {}
        for digest, match in self._tokens.items():
            now = tokens.get(digest)
            # Connections are known by the token's name, so a renamed one would escape its later revocation.
            if now is None or (now.tenant.key, now.token_name) != (match.tenant.key, match.token_name):
                revoked[match.tenant.key] = revoked.get(match.tenant.key, frozenset()) | {match.token_name}
        return Edit(
            added=frozenset(resolved.keys() - before.keys()),
            removed=frozenset(before.keys() - resolved.keys()),
            changed=frozenset(changed),
            revoked=revoked,
        )

    def names(self) -> list[str]:
        """Return the names of all tenants, sorted."""
        return sorted(self._resolved)

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return who has the token with this SHA-256 digest."""
        return self._tokens.get(digest)

    def expired(self, now: float) -> list[tuple[str, frozenset[str]]]:
        """Return the tokens whose time has come since the last call. `now`: seconds since the epoch."""
        return self._expiries.due(now, self.find)

    def get(self, name: str) -> Resolved | None:
        """Return a tenant, if there is one."""
        return self._resolved.get(name)

    def resolve(self, name: str) -> Resolved:
        """Return a tenant.

        Raises
        ------
        UnknownTenant
            There is none of this name.
        """
        found = self._resolved.get(name)
        if found is None:
            known = ", ".join(self.names()[:10]) or "none at all"
            raise UnknownTenant(f"there is no tenant {name!r}; there is {known}")
        return found

    def secrets(self, found: Resolved) -> dict[str, dict[str, str]]:
        """Return the entries of the secrets that a tenant names and that are there."""
        names = secret_names(found)
        return {name: self._loaded.secrets[name].values() for name in names if name in self._loaded.secrets}


def secret_names(found: Resolved) -> set[str]:
    """Return the secrets that a tenant's environment is made of."""
    names = set()
    for variable in found.template.spec.env:
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
            names.add(variable.value_from.secret_key_ref.name)
    if found.tenant.spec.credentials is not None:
        names.add(found.tenant.spec.credentials.secret_ref.name)
    return names


def _resolve(loaded: Loaded, name: str) -> Resolved | None:
    tenant = loaded.tenants[name]
    template = loaded.template_of(tenant.spec.template_ref)
    if template is None:
        return None
    source = template.spec.volume.source
    path = None
    if source is not None and source.path is not None:
        file = Path(loaded.template_files[template.name, template.spec.version])
        path = (file.parent / Path(source.path).expanduser()).absolute()
    return Resolved(tenant, template, path, frozenset(template.spec.idle.passive_methods))
