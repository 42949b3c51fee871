"""Scales a tenant's Deployment from 0 to 1: the whole of what the router writes."""

from __future__ import annotations

import asyncio
import logging

from tenant_api.apiserver_errors import ApiRefused, ApiUnavailable
from tenant_api.kubernetes_names import child_name

from ..fleet import WakeFailed
from .backoff import Backoff
from .client import ApiServer
from .errors import Expired
from .trouble import Cause, Trouble

log = logging.getLogger(__name__)

PATCH = 3.0
"""Seconds for one try: three times the API server's own objective. A wake is waiting, and the PATCH may be sent again."""
CONFLICT = 409
NOT_FOUND = 404


class PodCantCome(WakeFailed):
    """A wake that can't succeed now; it knows what kind of trouble that is."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.text, trouble.lasting)
        self.trouble = trouble

    @property
    def for_clients(self) -> str:
        """Only the kind: names of nodes, images and quotas are nobody's business but the operators'."""
        return f"the cluster has no pod for it now ({self.trouble.cause})"


async def scale_up(api: ApiServer, namespace: str, tenant: str) -> None:
    """Set `spec.replicas` to 1. Idempotent: where it is 1 already, nothing is written.

    While the API server is away it is tried again until the caller's deadline cancels it: that is the queue of wakes.

    Raises
    ------
    PodCantCome
        The API server refuses.
    """
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{child_name(tenant)}/scale"
    backoff = Backoff()
    while True:
        try:
            await api.request(
                "PATCH",
                path,
                body={"spec": {"replicas": 1}},
                content_type="application/merge-patch+json",
                timeout=PATCH,
            )
            return
        except (ApiUnavailable, Expired) as error:
            log.info("tenant %s/%s: the wake waits for the API server: %s", namespace, tenant, error)
        except ApiRefused as refused:
            if refused.code == NOT_FOUND:
                why = "its Deployment is not there (yet): the operator makes it"
                raise PodCantCome(Trouble(Cause.NOT_PROVISIONED, why)) from None
            if refused.code != CONFLICT:
                raise PodCantCome(Trouble(Cause.REFUSED, f"the API server refuses the wake: {refused}")) from None
        await asyncio.sleep(backoff.pause())
