"""Takes back the CPU that a gateway had for its start."""

from __future__ import annotations

from tenant_api.apiserver_errors import ApiRefused

from ..apiserver.errors import NotFound, NotServed
from ..apiserver.resources import TENANT
from ..cache.records import TenantView
from ..life import Life
from ..objects.pod import start_boost
from ..world import World
from .acceptance import Accepted
from .children import Children


class Boosts:
    """Those of all tenants."""

    def __init__(self, world: World, children: Children) -> None:
        self._world = world
        self._children = children

    async def take_back(self, view: TenantView, accepted: Accepted, life: Life) -> None:
        """Lower the CPU limit of a gateway that is ready, once; an Event says why where that can't be done."""
        pod, boost = view.pod, start_boost(accepted.template)
        if pod is None or boost is None or not pod.ready or pod.cpu_limit != boost[0] or life.calmed == pod.uid:
            return
        life.calmed = pod.uid
        try:
            await self._children.limit_cpu(pod, boost[1])
            return
        except NotServed:
            problem = "that needs Kubernetes 1.33 or newer: upgrade, or remove spec.wake.cpuLimit from the template"
        except NotFound:
            return  # gone meanwhile
        except ApiRefused as error:
            problem = error.message
        assert view.tenant is not None
        text = f"the CPU limit of its start stays, because it can't be lowered in place: {problem}"
        self._world.events.tell(TENANT, view.tenant, "ResizeRefused", text, warning=True)
