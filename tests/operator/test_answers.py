"""A change that the answer to our own write shows first is worked on, though its event comes too late to be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import parts
from operator_world import World, template, tenant

from tenant_operator.apiserver.resources import TEMPLATE, TENANT
from tenant_operator.feed import Feed
from tenant_operator.idle.timers import Timers
from tenant_operator.keys import tenant_key
from tenant_operator.reconcile.children import Children
from tenant_operator.reconcile.tenant import TenantReconciler
from tenant_operator.reconcile.volume import Volumes


async def test_a_spec_that_changes_while_the_status_is_written(
    here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.apply(template(), tenant("ann"))
    key = tenant_key(here.namespace, "ann")
    async with parts(here.cluster.kubeconfig, here.namespace, tmp_path, monkeypatch) as world:
        feed = Feed(world)
        for resource, kind, name in ((TEMPLATE, "tenanttemplates", "standard"), (TENANT, "tenants", "ann")):
            feed.take(resource, "ADDED", here.get(kind, name) or {})
        reconciler = TenantReconciler(world, Children(world), Volumes(world), Timers())

        async def work() -> bool:
            """Reconcile the tenant as a worker would; tell whether it is to be done again at once."""
            found = [await world.queue.get() for _ in range(len(world.queue))]
            assert key in found
            await reconciler.reconcile(key)
            for one in found:
                world.queue.done(one)
            return len(world.queue) > 0

        # Its event is on the way while the first status is written.
        changed = here.patch("tenants", "ann", {"spec": {"power": "Suspended"}})
        assert await work()
        assert here.status("ann")["phase"] == "Asleep"
        feed.take(TENANT, "MODIFIED", changed)
        assert not await work()
        assert here.status("ann")["phase"] == "Suspended"
        assert here.status("ann")["observedGeneration"] == changed["metadata"]["generation"]
