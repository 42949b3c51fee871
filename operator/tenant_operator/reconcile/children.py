"""Applies what a plan says, and keeps the cache abreast of the answers."""

from __future__ import annotations

import asyncio
import time

from tenant_api.apiserver_errors import ApiRefused
from tenant_api.kubernetes_names import GATEWAY, child_name
from tenant_api.template import TenantTemplate

from ..apiserver.client import FIELD_MANAGER
from ..apiserver.errors import NotFound
from ..apiserver.resources import CLAIM, DEPLOYMENT, POD, SECRET, Json, Resource
from ..cache.records import ChildRecord, PodRecord, TenantView
from ..objects.claim import build_claim
from ..objects.marks import PENDING, RETAINED
from ..objects.secret import template_of
from ..world import World
from .acceptance import Accepted
from .provisioning import PENDING_SINCE, Work

PENDING_MANAGER = f"{FIELD_MANAGER}-pending"
"""Owner of the annotations that say what waits, so that they come and go without the rest of the object."""
RETAINED_MANAGER = f"{FIELD_MANAGER}-retained"
"""Owner of the annotation that a claim outlived its tenant."""
INVALID = 422


class Children:
    """The children of tenants at the API server."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def carry_out(self, accepted: Accepted, view: TenantView, work: Work) -> None:
        """Apply what is to be applied, all at once.

        Raises
        ------
        ApiError
            The first that went wrong; the others were tried all the same.
        """
        namespace = str(accepted.tenant.metadata.namespace)
        calls = []
        if work.secret is not None:
            calls.append(self._apply(SECRET, namespace, work.secret))
        if work.claim is not None:
            calls.append(self._apply_claim(accepted, view, namespace, work.claim))
        if work.deployment is not None:
            calls.append(self._apply(DEPLOYMENT, namespace, work.deployment))
        if work.pending is not None:
            calls.append(self._mark_pending(namespace, accepted.tenant.name, work.pending))
        if not calls:
            return
        if len(calls) == 1:
            await calls[0]
            return
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def look_again(self, namespace: str, tenant: str) -> None:
        """Read the children of a tenant that was provisioned but whose objects are not known: somebody may have taken our
        labels off them, and what is there must not be applied as if it were new."""
        for resource in (DEPLOYMENT, CLAIM, SECRET):
            try:
                body = await self._world.api.get(resource, namespace, child_name(tenant))
            except NotFound:
                continue
            self._world.cache.put(resource, body)

    async def recall(self, namespace: str, tenant: str, template: TenantTemplate) -> None:
        """Remember the template that a tenant's config was made from, as its Secret says; values of Secrets are not kept."""
        try:
            body = await self._world.api.get(SECRET, namespace, child_name(tenant))
        except NotFound:
            return
        past = template_of(body, template)
        if past is not None:
            self._world.templates.remember(namespace, past)

    async def scale(self, namespace: str, tenant: str, replicas: int) -> None:
        """Set the replicas of a tenant's Deployment, and nothing else of it."""
        await self._world.api.merge(
            DEPLOYMENT, namespace, child_name(tenant), {"spec": {"replicas": replicas}}, subresource="scale"
        )

    async def limit_cpu(self, pod: PodRecord, limit: str) -> None:
        """Set the CPU limit of a running gateway, in place (subresource `resize`): its pod goes on."""
        container = {"name": GATEWAY, "resources": {"limits": {"cpu": limit}}}
        answer = await self._world.api.strategic(
            POD, pod.namespace, pod.name, {"spec": {"containers": [container]}}, subresource="resize"
        )
        self._world.cache.put(POD, answer)

    async def mark_retained(self, namespace: str, name: str, uid: str, text: str) -> None:
        """Write on a claim whose tenant it outlived; an empty text takes that off again."""
        await self._annotate(CLAIM, namespace, name, uid, {RETAINED: text} if text else {}, RETAINED_MANAGER)

    async def _apply(self, resource: Resource, namespace: str, body: Json) -> None:
        answer = await self._world.api.apply(resource, namespace, body)
        self._world.cache.put(resource, answer)
        metadata = answer["metadata"]
        record = self._world.cache.child(resource, namespace, metadata["name"])
        if isinstance(record, ChildRecord) and str(record.version) == metadata["resourceVersion"]:
            # As the server keeps it is as it should be: a webhook that changes it must not have us apply it for ever.
            record.content = b""

    async def _apply_claim(self, accepted: Accepted, view: TenantView, namespace: str, body: Json) -> None:
        if view.claim is not None and view.claim.retained:
            await self.mark_retained(namespace, view.claim.name, view.claim.uid, "")
        try:
            await self._apply(CLAIM, namespace, body)
        except ApiRefused as error:
            if error.code != INVALID or view.claim is not None:
                raise
            # It is there after all, without our labels: what it is can't be changed any more.
            live = await self._world.api.get(CLAIM, namespace, body["metadata"]["name"])
            record = self._world.cache.project_claim(live)
            await self._apply(
                CLAIM, namespace, build_claim(accepted.tenant, accepted.template, record.facts, grows=False)
            )

    async def _mark_pending(self, namespace: str, tenant: str, stamp: str) -> None:
        marks = {PENDING: stamp, PENDING_SINCE: str(int(time.time()))} if stamp else {}
        await self._annotate(DEPLOYMENT, namespace, child_name(tenant), "", marks, PENDING_MANAGER)

    async def _annotate(
        self, resource: Resource, namespace: str, name: str, uid: str, marks: dict[str, str], manager: str
    ) -> None:
        metadata: Json = {"name": name, "annotations": marks}
        if uid:
            metadata["uid"] = uid
        answer = await self._world.api.apply(resource, namespace, {"metadata": metadata}, manager=manager)
        self._world.cache.put(resource, answer)
