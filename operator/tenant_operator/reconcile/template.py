"""Reconciles one TenantTemplate: whether it can be used, and who follows it at which version."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import msgspec

from tenant_api.apiserver_errors import ApiRefused
from tenant_api.template import TenantTemplate

from ..apiserver.errors import NotFound, NotServed
from ..apiserver.resources import CLAIM, SNAPSHOT, TEMPLATE
from ..cache.records import TemplateRecord
from ..keys import Key, namespace_key, tenant_key
from ..objects.marks import TEMPLATE_VERSION
from ..world import World
from .acceptance import Refused
from .conditions import Statement, condition, conditions
from .policies import Policies
from .source import judge_source

SOURCE_AGAIN = 60.0
"""Seconds until a source that is not there is looked for again: nobody tells us of claims that are not a tenant's."""
SOURCE_STILL = 300.0
"""Seconds until one that was there is looked for again, while tenants are made from it: a get, and no write while it stays."""


class TemplateReconciler:
    """All templates."""

    def __init__(self, world: World, policies: Policies) -> None:
        self._world = world
        self._policies = policies

    async def reconcile(self, key: Key) -> None:
        """Say of one template what there is to say.

        Raises
        ------
        ApiError
            It could not be said.
        """
        record = self._world.cache.template(key.object)
        if not self._policies.settled(*key.object):
            self._world.queue.add(namespace_key(key.namespace), urgent=True)
        if record is None:
            self._world.templates.forget(*key.object)
            for name in self._world.cache.followers(key.object):
                self._world.queue.add(tenant_key(*name))
            return
        outcome = self._world.templates.parse(record)
        before = msgspec.json.decode(record.status)
        volume = await self._source(record, outcome)
        names = self._world.cache.followers(key.object)
        statements = [_accepted(outcome), volume, self._followed(names)]
        status: dict[str, Any] = {
            "observedGeneration": record.generation,
            "conditions": conditions(statements, before.get("conditions") or [], record.generation, time.time()),
            "tenants": len(names),
        }
        if status != before:
            await self._write(record, status)
            self._tell(record, before, status)
        if volume.status == "False":
            self._world.queue.add_after(key, SOURCE_AGAIN)
        elif names and volume.reason != "Empty":
            self._world.queue.add_after(key, SOURCE_STILL * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def _source(self, record: TemplateRecord, outcome: TenantTemplate | Refused) -> Statement:
        if isinstance(outcome, Refused):
            return Statement("VolumeReady", "Unknown", "NotAccepted", "the template can't be used")
        source = outcome.spec.volume.source
        if source is None:
            return Statement.of("VolumeReady", True, "Empty", "volumes start empty")
        if source.persistent_volume_claim is not None:
            resource, name = CLAIM, source.persistent_volume_claim.claim_name
        else:
            assert source.volume_snapshot is not None
            resource, name = SNAPSHOT, source.volume_snapshot.name
        try:
            body = await self._world.api.get(resource, record.namespace, name)
        except NotServed:
            text = f"this cluster has no {resource.kind}s: install their CRDs and controller, or name another source"
            return Statement.of("VolumeReady", False, "SourceNotFound", text)
        except NotFound:
            text = (
                f"there is no {resource.kind} {name!r} in namespace {record.namespace}: create it; clones wait for it"
            )
            return Statement.of("VolumeReady", False, "SourceNotFound", text)
        except ApiRefused as error:
            return Statement("VolumeReady", "Unknown", "SourceUnknown", f"{resource.kind} {name!r}: {error}")
        return judge_source(resource, name, body, outcome.spec.volume)

    def _followed(self, names: list[tuple[str, str]]) -> Statement:
        versions: Counter[str] = Counter()
        for name in names:
            deployment = self._world.cache.deployment(name)
            versions[deployment.marks.get(TEMPLATE_VERSION, "?") if deployment is not None else ""] += 1
        if not versions:
            return Statement.of("Followed", False, "NoTenants", "no tenant is made from this template")
        parts = [
            f"{count} at version {version}" if version else f"{count} not provisioned"
            for version, count in sorted(versions.items())
        ]
        return Statement.of("Followed", True, "InUse", f"{len(names)} tenants: {', '.join(parts)}")

    async def _write(self, record: TemplateRecord, status: dict[str, Any]) -> None:
        body = {"metadata": {"name": record.name}, "status": status}
        try:
            answer = await self._world.api.apply(TEMPLATE, record.namespace, body, subresource="status")
        except NotFound:
            return  # deleted meanwhile
        self._world.answers.take(TEMPLATE, answer)

    def _tell(self, record: TemplateRecord, before: dict[str, Any], status: dict[str, Any]) -> None:
        for kind in ("Accepted", "VolumeReady"):
            now, old = condition(status, kind), condition(before, kind)
            if now["status"] == "False" and (now["reason"], now["message"]) != (old.get("reason"), old.get("message")):
                self._world.events.tell(TEMPLATE, record, now["reason"], now["message"], warning=True)


def _accepted(outcome: TenantTemplate | Refused) -> Statement:
    if isinstance(outcome, Refused):
        return Statement.of("Accepted", False, outcome.reason, outcome.message)
    return Statement.of("Accepted", True, "Accepted", f"version {outcome.spec.version} can be used")
