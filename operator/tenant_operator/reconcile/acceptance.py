"""Whether a Tenant can be provided for, and if not, why, in words that its author can act on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from pydantic import BaseModel, ValidationError

from tenant_api.config.errors import ConfigError
from tenant_api.config.render import check_template
from tenant_api.egress import parse_egress
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant
from tenant_api.validation import findings

from ..cache.cache import Cache
from ..cache.records import TemplateRecord, TenantRecord
from ..objects.claim import user_mark
from ..objects.secret import template_mark


@dataclass(frozen=True, slots=True)
class Refused:
    """A resource can't be provided for."""

    reason: str
    """One CamelCase word for the condition."""
    message: str


GOES_ON: Final = frozenset(
    {
        "SpecInvalid",
        "TemplateNotFound",
        "TemplateInvalid",
        "TemplateVersionNotFound",
        "NoImage",
        "ConfigInvalid",
        "OverlayInvalid",
    }
)
"""Reasons for which only the next change can't be made: a tenant goes on with what it was provisioned with last, its schedule
and AlwaysOn included, as it goes on for its clients. Not so where somebody else has the better claim to what it has, its token
(TokenTaken) or its volume (VolumeTaken): then nothing starts by itself before people have settled that."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A tenant with the template that it is made from."""

    tenant: Tenant
    template: TenantTemplate
    image: str


@dataclass(slots=True)
class _Parsed:
    uid: str
    generation: int
    outcome: TenantTemplate | Refused


MAX_REMEMBERED = 8
"""Configs of a template's past that awake tenants may still have; older ones are looked up in the tenants' Secrets."""


class Templates:
    """Templates as models, parsed once per generation, and the configs that they had."""

    def __init__(self) -> None:
        self.apiserver: frozenset[tuple[str, int]] = frozenset()
        """Addresses and ports of the API server, as far as they are known: no template opens them."""
        self._parsed: dict[tuple[str, str], _Parsed] = {}
        self._past: dict[tuple[str, str], dict[str, TenantTemplate]] = {}

    def close(self, apiserver: frozenset[tuple[str, int]]) -> None:
        """Have templates judged by these addresses of the API server from now on. To be called before the first use, too."""
        self.apiserver = apiserver
        self._parsed.clear()

    def parse(self, record: TemplateRecord) -> TenantTemplate | Refused:
        """Return a template, or what is wrong with it."""
        name = (record.namespace, record.name)
        known = self._parsed.get(name)
        if known is None or (known.uid, known.generation) != (record.uid, record.generation):
            known = self._parsed[name] = _Parsed(
                record.uid, record.generation, parse_template(record.source, self.apiserver)
            )
            if isinstance(known.outcome, TenantTemplate):
                self.remember(record.namespace, known.outcome)
        return known.outcome

    def remember(self, namespace: str, template: TenantTemplate) -> None:
        """Remember a template as it is or was, the latest that are given."""
        past = self._past.setdefault((namespace, template.name), {})
        past[template_mark(template)] = template
        while len(past) > MAX_REMEMBERED:
            del past[next(iter(past))]

    def remembered(self, namespace: str, name: str, mark: str) -> TenantTemplate | None:
        """Return a template as it was when its config had this mark."""
        return self._past.get((namespace, name), {}).get(mark)

    def forget(self, namespace: str, name: str) -> None:
        """Forget a template that is gone."""
        self._parsed.pop((namespace, name), None)
        self._past.pop((namespace, name), None)


def accept(record: TenantRecord, cache: Cache, templates: Templates, images: dict[str, str]) -> Accepted | Refused:
    """Return whether a tenant can be provided for; its config is not rendered yet."""
    parsed = _parse(record.source, Tenant)
    if isinstance(parsed, Refused):
        return parsed
    tenant = parsed
    assert isinstance(tenant, Tenant)
    taken = next(iter(cache.rivals(record)), None)
    if taken is not None:
        digest, keeper = taken
        token = next((one.name for one in tenant.spec.tokens if one.sha256 == digest.hex()), "?")
        return Refused(
            "TokenTaken",
            f"token {token!r} is that of tenant {keeper.namespace}/{keeper.name}, which is older and keeps it: "
            "give this tenant a token of its own",
        )
    template = _template(record, tenant, cache, templates)
    if isinstance(template, Refused):
        return template
    image = template.spec.image or images.get(template.spec.runtime, "")
    if not image:
        return Refused(
            "NoImage",
            f"TenantTemplate {template.name!r} has no image, and the operator none for runtime {template.spec.runtime}: "
            "set spec.image",
        )
    return Accepted(tenant, template, image)


def _template(record: TenantRecord, tenant: Tenant, cache: Cache, templates: Templates) -> TenantTemplate | Refused:
    ref = tenant.spec.template_ref
    found = cache.template((record.namespace, ref.name))
    if found is None:
        return Refused(
            "TemplateNotFound",
            f"there is no TenantTemplate {ref.name!r} in namespace {record.namespace}: create it, or name another one",
        )
    template = templates.parse(found)
    if isinstance(template, Refused):
        return Refused("TemplateInvalid", f"TenantTemplate {ref.name!r}: {template.message}")
    if ref.version is not None and ref.version != template.spec.version:
        return Refused(
            "TemplateVersionNotFound",
            f"the tenant pins version {ref.version!r} of TenantTemplate {ref.name!r}, which is at {template.spec.version!r}: "
            "pin that, or remove version to follow the template",
        )
    return template


def parse_template(source: bytes, apiserver: frozenset[tuple[str, int]] = frozenset()) -> TenantTemplate | Refused:
    """Return a TenantTemplate from its JSON, or what is wrong with it, its config included.

    Parameters
    ----------
    apiserver
        Addresses and ports that its tenants may not reach.
    """
    parsed = _parse(source, TenantTemplate)
    if isinstance(parsed, Refused):
        return parsed
    assert isinstance(parsed, TenantTemplate)
    try:
        check_template(parsed)
    except ConfigError as error:
        return Refused("ConfigInvalid", str(error))
    volume = parsed.spec.volume.source
    if volume is not None and volume.path is not None:
        return Refused(
            "VolumeSourceInvalid",
            "spec.volume.source.path is for one machine only: name a persistentVolumeClaim or volumeSnapshot here",
        )
    for index, text in enumerate(parsed.spec.egress):
        for host, port in sorted(apiserver):
            if parse_egress(text).holds(host, port):
                return Refused(
                    "EgressRefused",
                    f"spec.egress[{index}]: {text} opens the API server at {host} port {port}, which no tenant may reach: "
                    "name the network of the server that is meant, and no more",
                )
    return parsed


def foreign_volume(tenant: Tenant, mark: str) -> Refused | None:
    """Return a refusal if a claim that is there already holds another user's data."""
    if mark in ("", user_mark(tenant)):
        return None
    return Refused(
        "VolumeTaken",
        f"the claim openclaw-{tenant.name} holds the data of another user's former tenant of this name: "
        "delete the claim, or give this tenant another name",
    )


def _parse(source: bytes, model: type[BaseModel]) -> BaseModel | Refused:
    try:
        return model.model_validate(msgspec.json.decode(source), by_alias=True, by_name=False)
    except ValidationError as error:
        found = list(findings(error, model))
        more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
        return Refused("SpecInvalid", f"{found[0]}{more}")
