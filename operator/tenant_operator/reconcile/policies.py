"""The NetworkPolicies of a namespace: its own, and one for each template in use that opens something to its tenants."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from tenant_api.kubernetes_names import COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, TEMPLATE_LABEL

from ..apiserver.client import ApiClient
from ..apiserver.errors import NotFound
from ..apiserver.resources import NETWORK_POLICY, Json
from ..cache.cache import Cache
from ..cache.essence import says
from ..cache.records import TemplateRecord
from ..objects.marks import stamp
from ..objects.network_policy import Traffic, build_network_policy, build_template_policy, template_policy_name
from ..objects.service_account import namespace_labels
from .acceptance import Refused, Templates

log = logging.getLogger(__name__)

_OURS = f"{MANAGED_BY_LABEL}={MANAGED_BY},{COMPONENT_LABEL}={namespace_labels()[COMPONENT_LABEL]}"


class Policies:
    """Those of all namespaces. Nobody watches them: they are listed when one may have to change, and now and then."""

    def __init__(self, api: ApiClient, cache: Cache, templates: Templates, traffic: Traffic) -> None:
        self._api = api
        self._cache = cache
        self._templates = templates
        self._traffic = traffic
        self._applied: dict[tuple[str, str], str] = {}
        """(namespace, template) → stamp of its policy, as it is at the API server as far as we know."""
        self._kept: dict[tuple[str, str], tuple[str, Json]] = {}
        """(namespace, policy) → its stamp and the spec that the API server made of it, where that is not what we said."""

    def settled(self, namespace: str, template: str) -> bool:
        """Tell whether nothing is to be done for a template, from memory."""
        wanted = self._wanted(self._cache.template((namespace, template)))
        if isinstance(wanted, Refused):
            return True
        return self._applied.get((namespace, template)) == (stamp(wanted) if wanted is not None else None)

    async def ensure(self, namespace: str) -> None:
        """Apply what is missing or differs, and delete what nobody needs any more.

        Raises
        ------
        ApiError
            It could not be done.
        """
        live: dict[str, Json] = {}
        async for page in self._api.pages(NETWORK_POLICY, namespace, labels=_OURS):
            live.update((body["metadata"]["name"], body) for body in page.items)
        own = build_network_policy(self._traffic, self._templates.apiserver)
        await self._apply(namespace, own, live.pop(own["metadata"]["name"], {}))
        for record in [one for one in self._cache.templates() if one.namespace == namespace]:
            found = live.pop(template_policy_name(record.name), {})
            wanted = self._wanted(record)
            if isinstance(wanted, Refused):
                continue  # what is open stays open until the template says something that can be understood
            if wanted is not None:
                await self._apply(namespace, wanted, found)
                self._applied[namespace, record.name] = stamp(wanted)
                continue
            if found:
                await self._delete(namespace, found)
            self._applied.pop((namespace, record.name), None)
        for found in live.values():
            await self._delete(namespace, found)

    def _wanted(self, record: TemplateRecord | None) -> Json | Refused | None:
        """Return a template's policy; None: it needs none."""
        if record is None:
            return None
        template = self._templates.parse(record)
        if isinstance(template, Refused):
            return template
        if not template.spec.egress or not self._cache.used((record.namespace, record.name)):
            return None
        return build_template_policy(template)

    async def _apply(self, namespace: str, wanted: Json, live: Json) -> None:
        if self._holds(namespace, wanted, live):
            return
        answer = await self._api.apply(NETWORK_POLICY, namespace, wanted)
        name = wanted["metadata"]["name"]
        if foreign := answer["spec"].keys() - wanted["spec"].keys():
            # Fields that only another manager holds outlive an apply, and `ingress` or `egress` of theirs may open more.
            gone: dict[str, Any] = dict.fromkeys(foreign)
            answer = await self._api.merge(NETWORK_POLICY, namespace, name, {"spec": gone})
        self._kept.pop((namespace, name), None)
        if answer["spec"] != wanted["spec"]:
            # A webhook's doing, which an administrator has set up: it must not have us apply for ever.
            self._kept[namespace, name] = stamp(wanted), answer["spec"]
            log.warning(
                "NetworkPolicy %s/%s is kept otherwise than it was applied: does a webhook change it?", namespace, name
            )

    def _holds(self, namespace: str, wanted: Json, live: Json) -> bool:
        """Tell whether a policy says what it should and nothing else: a rule more is one that nobody asked us for."""
        if not live or not says(live, {"metadata": wanted["metadata"]}):
            return False
        kept = self._kept.get((namespace, wanted["metadata"]["name"]))
        return live["spec"] in (wanted["spec"], kept[1] if kept is not None and kept[0] == stamp(wanted) else None)

    async def _delete(self, namespace: str, live: Json) -> None:
        metadata = live["metadata"]
        template = (metadata.get("labels") or {}).get(TEMPLATE_LABEL, "")
        if not template:
            return  # not one of ours, whatever else its labels say
        with contextlib.suppress(NotFound):
            await self._api.delete(NETWORK_POLICY, namespace, metadata["name"], metadata["uid"])
        self._kept.pop((namespace, metadata["name"]), None)
        self._applied.pop((namespace, template), None)
