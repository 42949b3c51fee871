"""Where the watches' objects go: registry, pods and warnings."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tenant_api.apiserver_errors import ApiError
from tenant_api.kubernetes_names import GROUP, TEMPLATES, TENANT_LABEL, TENANTS, VERSION, gateways_selector

from .client import ApiServer
from .objects import Event, Page, Pod, Template, Tenant
from .pods import GatewayPod, Pods
from .registry import Registry, Revocation
from .warnings import Warnings
from .watch import SHORT_LIFE, Watch

log = logging.getLogger(__name__)

CORE = "/api/v1"
OURS = f"/apis/{GROUP}/{VERSION}"

_decode_page = msgspec.json.Decoder(Page).decode
_decode_pod = msgspec.json.Decoder(Pod).decode


class TenantSink:
    """Tenants into the registry; what that revokes is told at once."""

    def __init__(self, registry: Registry, revoke: Callable[[list[Revocation]], None]) -> None:
        self._registry = registry
        self._revoke = revoke

    def put(self, item: Tenant, listed: bool) -> None:
        """Take in a tenant."""
        self._revoke(self._registry.put_tenant(item))

    def gone(self, item: Tenant) -> None:
        """Forget a tenant."""
        self._revoke(self._registry.remove_tenant(f"{item.metadata.namespace}/{item.metadata.name}"))

    def keep(self, namespace: str, names: set[str]) -> None:
        """Forget the tenants of a namespace that are not listed any more."""
        for name in set(self._registry.names(namespace)) - names:
            self._revoke(self._registry.remove_tenant(f"{namespace}/{name}"))


class TemplateSink:
    """Templates into the registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def put(self, item: Template, listed: bool) -> None:
        """Take in a template."""
        self._registry.put_template(item)

    def gone(self, item: Template) -> None:
        """Forget a template."""
        self._registry.remove_template(item.metadata.namespace, item.metadata.name)

    def keep(self, namespace: str, names: set[str]) -> None:
        """Forget the templates of a namespace that are not listed any more."""
        for name in set(self._registry.template_names(namespace)) - names:
            self._registry.remove_template(namespace, name)


class PodSink:
    """Pods into `Pods`."""

    def __init__(self, pods: Pods, changed: Callable[[GatewayPod], None]) -> None:
        self._pods = pods
        self._changed = changed

    def put(self, item: Pod, listed: bool) -> None:
        """Take in a pod."""
        if (pod := self._pods.put(item, time.monotonic())) is not None:
            self._changed(pod)

    def gone(self, item: Pod) -> None:
        """Forget a pod."""
        self.put(item, listed=False)  # its last words
        self._remove(item.metadata.uid, f"pod {item.metadata.name} was deleted")

    def keep(self, namespace: str, names: set[str]) -> None:
        """Forget the pods of a namespace that are not listed any more."""
        for pod in self._pods.in_namespace(namespace):
            if pod.name not in names:
                self._remove(pod.uid, f"pod {pod.name} was deleted")

    def _remove(self, uid: str, why: str) -> None:
        if (pod := self._pods.remove(uid, why)) is not None:
            self._changed(pod)

    async def look(self, api: ApiServer, key: str) -> None:
        """List one tenant's pods, past the watch. What can't be read changes nothing."""
        namespace, _, name = key.partition("/")
        selector = {"labelSelector": f"{gateways_selector()},{TENANT_LABEL}={name}"}
        try:
            page = _decode_page(await api.request("GET", f"{CORE}/namespaces/{namespace}/pods", params=selector))
            for raw in page.items or ():
                self.put(_decode_pod(raw), listed=True)
        except (ApiError, msgspec.MsgspecError) as error:
            log.info("tenant %s: its pods can't be listed: %s", key, error)


class EventSink:
    """Warning events into `Warnings`."""

    def __init__(self, warnings: Warnings, warned: Callable[[str], None]) -> None:
        self._warnings = warnings
        self._warned = warned

    def put(self, item: Event, listed: bool) -> None:
        """Take in an event."""
        about = self._warnings.put(item, time.monotonic(), news=not listed)
        if about is not None:
            self._warned(about)

    def gone(self, item: Event) -> None:
        """Events expire; what they said stays until it is overwritten."""

    def keep(self, namespace: str, names: set[str]) -> None:
        """Events expire; what they said stays until it is overwritten."""


def watches(
    api: ApiServer,
    namespaces: Sequence[str],
    tenants: TenantSink,
    templates: TemplateSink,
    pods: PodSink,
    events: EventSink,
) -> list[Watch[Any]]:
    """Return all watches: four a namespace, because the router may list nothing outside of the tenants' namespaces.

    Templates come first: a tenant's limits are its template's.
    """
    gateways, warnings = {"labelSelector": gateways_selector()}, {"fieldSelector": "type=Warning"}
    found: list[Watch[Any]] = []
    for namespace in namespaces:
        found += [
            Watch(api, OURS, namespace, TEMPLATES, Template, templates),
            Watch(api, OURS, namespace, TENANTS, Tenant, tenants),
            Watch(api, CORE, namespace, "pods", Pod, pods, gateways),
            Watch(api, CORE, namespace, "events", Event, events, warnings, SHORT_LIFE),
        ]
    return found
