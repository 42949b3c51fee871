"""What has to be applied for a tenant: its children as they are against as they should be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from tenant_api.kubernetes_names import GROUP
from tenant_api.quantities import parse_quantity
from tenant_api.template import TenantTemplate
from tenant_api.tenant import Tenant

from ..apiserver.resources import Json
from ..cache.essence import essence, says
from ..cache.records import ChildRecord, ClaimRecord, DeploymentRecord, TemplateRecord, TenantView
from ..objects.claim import build_claim, user_mark
from ..objects.deployment import as_seen, asleep_at_birth, build_deployment
from ..objects.marks import PENDING, TEMPLATE_CONFIG, TEMPLATE_VERSION, TENANT_CONFIG, stamp
from ..objects.secret import GatewayDoor, build_secret, template_mark, tenant_mark
from .acceptance import Accepted, Templates
from .conditions import Statement

PENDING_SINCE: Final = f"{GROUP}/pending-since"
"""Annotation of a Deployment: since when the change waits (seconds since 1970)."""


@dataclass(frozen=True, slots=True)
class Provisioning:
    """How far a tenant's objects are."""

    statement: Statement
    template_version: str = ""
    """Version that its Deployment is made from."""

    @property
    def failed(self) -> bool:
        """Whether something could not be applied."""
        return self.statement.status == "False"


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be applied. None: nothing."""

    secret: Json | None = None
    claim: Json | None = None
    deployment: Json | None = None
    pending: str | None = None
    """Hash of the Deployment that waits for the next sleep; empty: none waits, but the annotation says so."""
    waits: bool = False
    """A change waits for the next sleep."""

    @property
    def anything(self) -> bool:
        """Whether there is anything to do."""
        return any(one is not None for one in (self.secret, self.claim, self.deployment, self.pending))


@dataclass(frozen=True, slots=True)
class Settled:
    """A tenant for which nothing was to be applied: as long as all of this is the same, nothing is."""

    source: bytes
    template: tuple[str, int]
    secret: tuple[str, bytes]
    deployment: tuple[str, bytes]
    claim: tuple[str, str, str, str]

    @classmethod
    def of(cls, view: TenantView, template: TemplateRecord) -> Settled | None:
        """Return what it depends on, or None while a child is missing or not compared yet."""
        tenant, secret, deployment, claim = view.tenant, view.secret, view.deployment, view.claim
        if tenant is None or secret is None or deployment is None or claim is None:
            return None
        if secret.content or deployment.content:
            return None
        return cls(
            tenant.source,
            (template.uid, template.generation),
            (secret.applied, secret.fingerprint),
            (deployment.applied, deployment.fingerprint),
            (claim.uid, claim.owner, claim.user, claim.phase + claim.facts.requested + claim.retained),
        )


def plan(accepted: Accepted, view: TenantView, templates: Templates, door: GatewayDoor, *, overdue: bool) -> Work:
    """Return what is to be applied.

    Parameters
    ----------
    overdue
        A change has waited for longer than the template allows: it is applied to an awake tenant.

    Raises
    ------
    ConfigError
        Template or overlay can't be rendered.
    """
    tenant, template = accepted.tenant, accepted.template
    awake = view.deployment is not None and view.deployment.replicas > 0 and not overdue
    secret, secret_waits = _secret(tenant, template, view.secret, templates, door, awake=awake)
    deployment, waits_for = _deployment(accepted, view.deployment, awake=awake)
    marked = view.deployment.marks.get(PENDING, "") if view.deployment is not None else ""
    return Work(
        secret=secret,
        claim=_claim(tenant, template, view.claim),
        deployment=deployment,
        pending=waits_for if waits_for != marked else None,
        waits=bool(waits_for) or secret_waits,
    )


def forgotten(accepted: Accepted, view: TenantView, templates: Templates, *, overdue: bool) -> bool:
    """Tell whether a changed overlay is to be laid over a template of the past that is not remembered."""
    live, deployment = view.secret, view.deployment
    if live is None or deployment is None or deployment.replicas == 0 or overdue:
        return False
    mark = live.marks.get(TEMPLATE_CONFIG, "")
    namespace, template = str(accepted.tenant.metadata.namespace), accepted.template
    return (
        mark != template_mark(template)
        and live.marks.get(TENANT_CONFIG) != tenant_mark(accepted.tenant)
        and templates.remembered(namespace, template.name, mark) is None
    )


def _secret(
    tenant: Tenant,
    template: TenantTemplate,
    live: ChildRecord | None,
    templates: Templates,
    door: GatewayDoor,
    *,
    awake: bool,
) -> tuple[Json | None, bool]:
    """Return the Secret to apply, and whether the template's part of it waits for the next sleep."""
    wanted = build_secret(tenant, template, door)  # also where it waits: what is wrong with it must be said now
    waits = False
    if live is not None and awake and (mark := live.marks.get(TEMPLATE_CONFIG, "")) != template_mark(template):
        past = templates.remembered(str(tenant.metadata.namespace), template.name, mark)
        if past is not None:
            # The overlay reaches the running gateway at once, on what it was made from.
            wanted, waits = build_secret(tenant, past, door), True
        elif live.marks.get(TENANT_CONFIG) == tenant_mark(tenant):
            return None, True
    return (None if live is not None and _holds(live, wanted) else wanted), waits


def _claim(tenant: Tenant, template: TenantTemplate, live: ClaimRecord | None) -> Json | None:
    if live is None:
        return build_claim(tenant, template)
    size = tenant.spec.storage.size or template.spec.volume.size
    owner = tenant.metadata.uid if tenant.spec.storage.reclaim == "Delete" else ""
    # A claim that is not bound can't be changed at all (core validation); it grows once it is.
    grows = live.phase == "Bound" and size > parse_quantity(live.facts.requested)
    if live.owner == owner and live.user == user_mark(tenant) and not live.retained and not grows:
        return None
    return build_claim(tenant, template, live.facts, grows=grows)


def _deployment(accepted: Accepted, live: DeploymentRecord | None, *, awake: bool) -> tuple[Json | None, str]:
    """Return the Deployment to apply, and the hash of the one that waits."""
    wanted = build_deployment(accepted.tenant, accepted.template, accepted.image)
    if live is None:
        return asleep_at_birth(wanted), ""
    if _holds(live, wanted):
        return None, ""
    if awake and not _same_pod(live, wanted):
        return None, stamp(wanted)
    return as_seen(wanted, live.replicas, live.resource_version), ""


def _holds(live: ChildRecord, wanted: Json) -> bool:
    """Tell whether a child was applied like this and still says so; what is found to be so is not compared again."""
    if live.applied != stamp(wanted):
        return False
    if live.content:
        if not says(msgspec.json.decode(live.content), essence(wanted)):
            return False
        live.content = b""
    return True


def _same_pod(live: DeploymentRecord, wanted: Json) -> bool:
    """Tell whether a Deployment is known to make the wanted pods already: then only labels or owners are to be repaired."""
    if not live.content:
        return False
    return says(msgspec.json.decode(live.content).get("spec", {}).get("template"), wanted["spec"]["template"])


def provisioned(work: Work, view: TenantView, version: str) -> Provisioning:
    """Return what is to be said when everything was applied."""
    applied = view.deployment.marks.get(TEMPLATE_VERSION, version) if view.deployment is not None else version
    if work.waits:
        text = f"version {version} of the template is applied at the next sleep"
        return Provisioning(Statement.of("Provisioned", True, "UpdateWaits", text), applied)
    text = "Deployment, claim and Secret are as they should be"
    return Provisioning(Statement.of("Provisioned", True, "Provisioned", text), applied)
