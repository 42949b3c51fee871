"""What resources say about each other: names and tokens once each, references that lead somewhere, configs that render."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tenant_api.config.errors import ConfigError
from tenant_api.config.gateway_settings import GatewaySettings
from tenant_api.config.render import render_config
from tenant_api.loaded import Loaded, Origin, newest
from tenant_api.secret import Secret
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_api.validation import FieldPath, Finding

_PROBE: Final = GatewaySettings(user="probe")
"""Settings for rendering a config only to see whether it can be."""


def check_together(loaded: Loaded, previous: Loaded | None) -> Loaded:
    """Fill in tenants, templates and secrets from `loaded.origins`, and add what is wrong with them to its errors."""
    tenants = [origin for origin in loaded.origins if isinstance(origin.parsed.resource, Tenant)]
    for origin in loaded.origins:
        _add_other(loaded, origin)
    loaded.templates = newest(loaded.template_versions)
    before = previous.tenants if previous is not None else {}
    tenants.sort(key=lambda origin: not _held(origin, before, previous))
    owners = _kept_tokens(tenants, before)
    for origin in tenants:
        _add_tenant(loaded, origin, owners)
    order = {id(origin): place for place, origin in enumerate(loaded.origins)}
    tenants.sort(key=lambda origin: order[id(origin)])
    loaded.tenants = {
        name: loaded.tenants[name] for origin in tenants if (name := origin.parsed.name) in loaded.tenants
    }
    loaded.errors.sort(key=lambda error: (error.file, error.line or 0, error.column or 0))
    return loaded


def _held(origin: Origin, before: dict[str, Tenant], previous: Loaded | None) -> bool:
    return (
        previous is not None and origin.parsed.name in before and previous.files.get(origin.parsed.name) == origin.file
    )


def _kept_tokens(tenants: list[Origin], before: dict[str, Tenant]) -> dict[str, str]:
    """Return who had each of these tokens before and still claims it: he keeps it, whatever the names of files."""
    had = {token.sha256: name for name, tenant in before.items() for token in tenant.spec.tokens}
    kept: dict[str, str] = {}
    for origin in tenants:
        tenant = origin.parsed.resource
        assert isinstance(tenant, Tenant)
        kept.update((token.sha256, tenant.name) for token in tenant.spec.tokens if had.get(token.sha256) == tenant.name)
    return kept


def _refuse(loaded: Loaded, origin: Origin, field: FieldPath, message: str, hint: str) -> None:
    loaded.errors.append(origin.error(origin.parsed.locate(Finding(field, message, hint))))


def _add_other(loaded: Loaded, origin: Origin) -> None:
    resource = origin.parsed.resource
    if isinstance(resource, TenantTemplate):
        key = (resource.name, resource.spec.version)
        if key in loaded.template_versions:
            where = loaded.template_files[key]
            _refuse(
                loaded,
                origin,
                ("metadata", "name"),
                f"is a template, in this version, already in {where}",
                "remove one",
            )
            return
        loaded.template_versions[key] = resource
        loaded.template_files[key] = origin.file
    elif isinstance(resource, Secret):
        if resource.name in loaded.secrets:
            _refuse(loaded, origin, ("metadata", "name"), "is the name of another Secret already", "remove one")
            return
        loaded.secrets[resource.name] = resource


def _add_tenant(loaded: Loaded, origin: Origin, owners: dict[str, str]) -> None:
    tenant = origin.parsed.resource
    assert isinstance(tenant, Tenant)
    if tenant.name in loaded.tenants:
        where = loaded.files[tenant.name]
        _refuse(
            loaded, origin, ("metadata", "name"), f"is the name of a tenant in {where} already", "give it another name"
        )
        return
    template = loaded.template_of(tenant.spec.template_ref)
    if template is None:
        _missing_template(loaded, origin, tenant)
        return
    for index, token in enumerate(tenant.spec.tokens):
        owner = owners.get(token.sha256, tenant.name)
        if owner != tenant.name:
            message = f"is the token of tenant {owner!r} already"
            hint = f"run `openclaw-tenancy token new {tenant.name}` for one of its own"
            _refuse(loaded, origin, ("spec", "tokens", index, "sha256"), message, hint)
            return
    try:
        render_config(template, tenant, _PROBE)
    except ConfigError as error:
        _config_error(loaded, origin, tenant, template, error)
        return
    owners.update((token.sha256, tenant.name) for token in tenant.spec.tokens)
    loaded.tenants[tenant.name] = tenant
    loaded.files[tenant.name] = origin.file
    _check_secret(loaded, origin, tenant)


def _missing_template(loaded: Loaded, origin: Origin, tenant: Tenant) -> None:
    ref = tenant.spec.template_ref
    versions = [version for name, version in loaded.template_versions if name == ref.name]
    if versions:
        message = f"pins version {ref.version!r} of template {ref.name!r}, which is not there"
        hint = f"there is {', '.join(versions)}: pin one of these, or remove version to follow the newest"
        _refuse(loaded, origin, ("spec", "templateRef", "version"), message, hint)
        return
    if any(error.kind == "TenantTemplate" and error.name == ref.name for error in loaded.errors):
        _refuse(
            loaded, origin, ("spec", "templateRef", "name"), "names a template that is broken", "repair the template"
        )
        return
    names = sorted({name for name, _ in loaded.template_versions})
    hint = f"there is {', '.join(names)}" if names else "add a TenantTemplate to the directory"
    _refuse(loaded, origin, ("spec", "templateRef", "name"), "names a template that is not there", hint)


def _config_error(loaded: Loaded, origin: Origin, tenant: Tenant, template: TenantTemplate, error: ConfigError) -> None:
    if error.source == "overlay":
        _refuse(loaded, origin, ("spec", "config", *error.path), error.message, error.hint)
        return
    # The place is in the template, the one who is left out is the tenant.
    source = next(other for other in loaded.origins if other.parsed.resource is template)
    found = source.error(source.parsed.locate_config(error))
    message = f"{found.message}, for tenant {tenant.name!r}"
    loaded.errors.append(replace(found, message=message, kind="Tenant", name=tenant.name))


def _check_secret(loaded: Loaded, origin: Origin, tenant: Tenant) -> None:
    credentials = tenant.spec.credentials
    if credentials is None or credentials.secret_ref.name in loaded.secrets:
        return
    field: FieldPath = ("spec", "credentials", "secretRef", "name")
    # The tenant is in order all the same, as on Kubernetes, where the Secret may come later.
    hint = "add a Secret of this name to the directory; until then the gateway has no keys from it"
    _refuse(loaded, origin, field, "names a Secret that is not there", hint)
