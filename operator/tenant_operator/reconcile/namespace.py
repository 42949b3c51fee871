"""Reconciles what a namespace of tenants has once: the gateways' ServiceAccount, and its NetworkPolicies."""

from __future__ import annotations

import random

from ..apiserver.errors import NotFound
from ..apiserver.resources import SERVICE_ACCOUNT, Json
from ..cache.essence import says
from ..keys import Key
from ..objects.marks import APPLIED, stamp
from ..objects.service_account import build_service_account
from ..world import World
from .policies import Policies

LOOK_AGAIN = 90.0
"""Seconds between two looks: nobody watches these. A look is one get and one list for a namespace with all its tenants, and
until it what somebody opened stays open."""


class NamespaceReconciler:
    """All namespaces of tenants."""

    def __init__(self, world: World, policies: Policies) -> None:
        self._world = world
        self._policies = policies

    async def reconcile(self, key: Key) -> None:
        """Make one namespace as it should be.

        Raises
        ------
        ApiError
            It could not be done.
        """
        await self._account(key.namespace, build_service_account(self._world.settings.pull_secrets))
        await self._policies.ensure(key.namespace)
        self._world.queue.add_after(key, LOOK_AGAIN * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def _account(self, namespace: str, wanted: Json) -> None:
        try:
            live = await self._world.api.get(SERVICE_ACCOUNT, namespace, wanted["metadata"]["name"])
        except NotFound:
            live = {}
        applied = (live.get("metadata", {}).get("annotations") or {}).get(APPLIED)
        if applied != stamp(wanted) or not says(live, wanted):
            await self._world.api.apply(SERVICE_ACCOUNT, namespace, wanted)
