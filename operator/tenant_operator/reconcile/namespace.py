"""Reconciles what a namespace of tenants has once: the gateways' ServiceAccount and NetworkPolicy."""

from __future__ import annotations

import random

from ..apiserver.errors import NotFound
from ..apiserver.resources import NETWORK_POLICY, SERVICE_ACCOUNT, Json, Resource
from ..cache.essence import says
from ..keys import Key
from ..objects.marks import APPLIED, stamp
from ..objects.network_policy import build_network_policy
from ..objects.service_account import build_service_account
from ..world import World

LOOK_AGAIN = 900.0
"""Seconds between two looks: nobody watches these, and whoever may change them is an administrator."""


class NamespaceReconciler:
    """All namespaces of tenants."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def reconcile(self, key: Key) -> None:
        """Make one namespace as it should be.

        Raises
        ------
        ApiError
            It could not be done.
        """
        await self._ensure(SERVICE_ACCOUNT, key.namespace, build_service_account())
        await self._ensure(NETWORK_POLICY, key.namespace, build_network_policy(self._world.settings.traffic))
        self._world.queue.add_after(key, LOOK_AGAIN * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def _ensure(self, resource: Resource, namespace: str, wanted: Json) -> None:
        try:
            live = await self._world.api.get(resource, namespace, wanted["metadata"]["name"])
        except NotFound:
            live = {}
        applied = (live.get("metadata", {}).get("annotations") or {}).get(APPLIED)
        if applied != stamp(wanted) or not says(live, wanted):
            await self._world.api.apply(resource, namespace, wanted)
