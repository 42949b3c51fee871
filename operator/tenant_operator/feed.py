"""Takes in what the API server sends, by watch or list, and puts the keys that it concerns on the queue."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from tenant_api.apiserver_errors import ApiError
from tenant_api.kubernetes_names import COMPONENT_LABEL, GATEWAY, MANAGED_BY, MANAGED_BY_LABEL, gateways_selector

from .apiserver.resources import CLAIM, DEPLOYMENT, POD, SECRET, TEMPLATE, TENANT, Json, Resource
from .cache.cache import WATCHED
from .cache.records import (
    ChildRecord,
    ClaimRecord,
    DeploymentRecord,
    PodRecord,
    Record,
    TemplateRecord,
    TenantRecord,
)
from .keys import Key, namespace_key, template_key, tenant_key
from .objects.network_policy import PREBIND
from .reconcile.tenant import FOLLOWERS_PAUSE
from .world import World

log = logging.getLogger(__name__)

RESYNC: Final = (600.0, 1800.0)
"""Seconds between two full lists, at random between these: watches have been known to fall silent, and lists never lie."""
SPREAD: Final = 300.0
"""Seconds over which the keys of a resync are worked on."""

SELECTORS: Final[dict[str, str]] = {
    DEPLOYMENT.plural: gateways_selector(),
    CLAIM.plural: gateways_selector(),
    SECRET.plural: gateways_selector(),
    POD.plural: f"{MANAGED_BY_LABEL}={MANAGED_BY},{COMPONENT_LABEL} in ({GATEWAY},{PREBIND})",
}
"""Label selectors of what is watched, by plural; what is not here is watched whole."""


class Feed:
    """The way into the cache."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.answers.news = self._changed
        self.synced = False
        """Whether everything was listed once."""

    def take(self, resource: Resource, kind: str | None, body: Json) -> None:
        """Take in one event of a watch; `kind` is its type, None for an object of a list."""
        if kind == "DELETED":
            metadata = body["metadata"]
            self._removed(
                resource,
                self._world.cache.remove(resource, metadata["namespace"], metadata["name"], metadata["uid"]),
            )
            return
        metadata = body["metadata"]
        before = self._world.cache.child(resource, metadata["namespace"], metadata["name"])
        record = self._world.cache.put(resource, body)
        if record is not None:
            self._changed(before, record)

    async def list_all(self) -> None:
        """List everything, page by page, and drop what is gone.

        Raises
        ------
        ApiError
            Something could not be listed.
        """
        for namespace in self._world.settings.namespaces:
            for resource in WATCHED:
                await self._list(resource, namespace)
        self.synced = True

    def everything(self, spread: float = 0.0) -> None:
        """Have everything reconciled, in the next `spread` seconds."""
        cache = self._world.cache
        keys: list[Key] = [namespace_key(namespace) for namespace in self._world.settings.namespaces]
        keys += [template_key(record.namespace, record.name) for record in cache.templates()]
        keys += [tenant_key(record.namespace, record.name) for record in cache.tenants()]
        keys += [tenant_key(*claim.key) for claim in cache.claims() if cache.tenant(claim.key) is None]
        for key in keys:
            if spread:
                self._world.queue.add_after(key, random.uniform(0.0, spread))  # noqa: S311 - no secret
            else:
                self._world.queue.add(key)

    async def _list(self, resource: Resource, namespace: str) -> None:
        names: set[str] = set()
        version = 0
        async for page in self._world.api.pages(resource, namespace, labels=SELECTORS.get(resource.plural, "")):
            version = page.version
            for body in page.items:
                names.add(body["metadata"]["name"])
                self.take(resource, None, body)
            await asyncio.sleep(0)  # a page is 500 objects: let the others have their turn
        for record in self._world.cache.prune(resource, namespace, names, version):
            self._removed(resource, record)

    def _changed(self, before: Record | None, record: Record) -> None:
        queue = self._world.queue
        match record:
            case TenantRecord():
                queue.add(tenant_key(*record.key), urgent=before is not None)
                old = before if isinstance(before, TenantRecord) else None
                if old is None or old.tokens != record.tokens or old.deleted != record.deleted:
                    self._rivals(record, old)
                if old is None or old.template != record.template:
                    self._follows(record, old)
            case TemplateRecord():
                key = template_key(record.namespace, record.name)
                queue.add(key)
                if not isinstance(before, TemplateRecord) or before.generation != record.generation:
                    for name in self._world.cache.followers(key.object):
                        queue.add(tenant_key(*name))
            case _:
                if record.tenant and (before is None or _facts(before) != _facts(record)):
                    queue.add(tenant_key(*record.key), urgent=isinstance(record, PodRecord | DeploymentRecord))

    def _removed(self, resource: Resource, record: Record | None) -> None:
        if record is None:
            return
        queue = self._world.queue
        if resource is TEMPLATE:
            queue.add(template_key(record.namespace, record.name))
            return
        if record.tenant:
            queue.add(tenant_key(*record.key), urgent=isinstance(record, PodRecord))
        if isinstance(record, PodRecord) and record.template:
            made_from = template_key(record.namespace, record.template)
            if not self._world.cache.used(made_from.object):
                queue.add(made_from)
        if isinstance(record, TenantRecord):
            self._rivals(record, None)
            queue.add_after(template_key(record.namespace, record.template), FOLLOWERS_PAUSE)

    def _follows(self, record: TenantRecord, before: TenantRecord | None) -> None:
        """Have templates looked at again that have a tenant more or less."""
        queue, template = self._world.queue, template_key(record.namespace, record.template)
        if self._world.cache.follower_count(template.object) == 1:
            queue.add(template)  # the first one: what it opens must be open before a gateway starts
        queue.add_after(template, FOLLOWERS_PAUSE)
        if before is not None:
            queue.add_after(template_key(before.namespace, before.template), FOLLOWERS_PAUSE)

    def _rivals(self, record: TenantRecord, before: TenantRecord | None) -> None:
        """Have those looked at again who claim the same tokens: one of them may have to give way, or no longer."""
        for digest in {*record.tokens, *(before.tokens if before is not None else ())}:
            for name in self._world.cache.claimants(digest):
                if name != (record.namespace, record.name):
                    self._world.queue.add(tenant_key(*name))


def _facts(record: Record) -> object:
    """Return what of a record reconciling depends on; the rest changes without consequence."""
    match record:
        case DeploymentRecord():
            return record.uid, record.applied, record.fingerprint, record.replicas, record.failure, record.marks
        case ChildRecord():
            return record.uid, record.applied, record.fingerprint, record.marks
        case ClaimRecord():
            return record.uid, record.owner, record.phase, record.facts, record.user, record.retained
        case PodRecord():
            return record.uid, record.ip, record.phase, record.ready, record.terminating, record.trouble
    return record.version


async def keep_synced(world: World, feed: Feed, pause: tuple[float, float] = RESYNC) -> None:
    """List everything now and then, and have everything reconciled, until cancelled.

    Raises
    ------
    Nothing: a list that fails is tried again at the next time; the watches go on meanwhile.
    """
    while True:
        await asyncio.sleep(random.uniform(*pause))  # noqa: S311 - no secret
        try:
            await feed.list_all()
        except ApiError as error:
            log.warning("the full list failed and is tried again later: %s", error)
            continue
        feed.everything(SPREAD)


__all__ = ["SELECTORS", "TENANT", "Feed", "keep_synced"]
