"""What a cloud backend does on Kubernetes, with the official client: copy it and make it yours.

Every call may be repeated: when in doubt whether it came through, make it again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.client import CustomObjectsApi
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.watch import Watch

TENANTS = ("openclaw-tenancy.dev", "v1alpha1")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
GONE = 410
WATCH = 300
"""Seconds of one watch: then everything is listed again, so that nothing is missed for longer."""


@dataclass(frozen=True)
class State:
    """A tenant, as a backend shows it to its user or its support."""

    user_id: str
    phase: str
    """Asleep, Waking, Awake, Suspending, Suspended or Failed; empty: the operator has not seen it yet."""
    provisioned: bool
    trouble: str
    """The message of what is wrong, empty if nothing is."""


class Tenants:
    """The tenants of one namespace."""

    def __init__(self, api: CustomObjectsApi, namespace: str = "openclaw-tenants") -> None:
        self._api = api
        self._namespace = namespace

    async def ensure(self, user_id: str, template: str, **spec: Any) -> None:
        """Have a tenant for a user, made from a template. It costs a volume and no pod until somebody talks to it."""
        wanted = {"userId": user_id, "templateRef": {"name": template}, **spec}
        await self._apply(user_id, wanted, "backend")

    async def give_token(self, user_id: str, device: str) -> str:
        """Return a new token for a device; one that this device had before closes. The token is stored nowhere: show it once."""
        token = "oct_" + secrets.token_urlsafe(32)
        entry = {"name": device, "sha256": hashlib.sha256(token.encode()).hexdigest()}
        await self._apply(user_id, {"tokens": [entry]}, f"backend-{device}")
        return token

    async def take_token(self, user_id: str, device: str) -> None:
        """Take a device's token out of use: its connections are closed within a second."""
        await self._apply(user_id, {}, f"backend-{device}")

    async def change(self, user_id: str, **spec: Any) -> None:
        """Change fields of the spec and leave the others: `power="Suspended"`, `config={...}`; None removes one."""
        await self._api.patch_namespaced_custom_object(
            *TENANTS, self._namespace, "tenants", name_of(user_id), {"spec": spec}, _content_type=MERGE
        )

    async def remove(self, user_id: str) -> None:
        """Delete a tenant; its volume goes with it unless `storage.reclaim` is Retain."""
        try:
            await self._api.delete_namespaced_custom_object(*TENANTS, self._namespace, "tenants", name_of(user_id))
        except ApiException as error:
            if error.status != 404:
                raise

    async def follow(self) -> AsyncIterator[State]:
        """Yield the state of every tenant, then each that changes, for ever."""
        while True:
            listed: Any = await self._api.list_namespaced_custom_object(*TENANTS, self._namespace, "tenants")
            for body in listed["items"]:
                yield state_of(body)
            try:
                async for event in Watch().stream(
                    self._api.list_namespaced_custom_object,
                    *TENANTS,
                    self._namespace,
                    "tenants",
                    resource_version=listed["metadata"]["resourceVersion"],
                    timeout_seconds=WATCH,
                ):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        yield state_of(event["object"])
            except ApiException as error:
                if error.status != GONE:
                    raise

    async def _apply(self, user_id: str, spec: dict[str, Any], manager: str) -> None:
        """Apply server-side. Each manager owns what it applied last: a device's token comes and goes without the others'."""
        body = {
            "apiVersion": "/".join(TENANTS),
            "kind": "Tenant",
            "metadata": {"name": name_of(user_id)},
            "spec": spec,
        }
        await self._api.patch_namespaced_custom_object(
            *TENANTS,
            self._namespace,
            "tenants",
            name_of(user_id),
            body,
            field_manager=manager,
            force=True,
            _content_type=APPLY,
        )


def name_of(user_id: str) -> str:
    """Return the tenant's name: a DNS label whatever the user's id is, and the same each time."""
    return "user-" + hashlib.sha256(user_id.encode()).hexdigest()[:20]


def state_of(body: dict[str, Any]) -> State:
    """Return what a Tenant says of itself."""
    status = body.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    wrong = [
        one["message"]
        for kind in ("Accepted", "Provisioned", "VolumeReady")
        if (one := conditions.get(kind, {})).get("status") == "False"
    ]
    provisioned = conditions.get("Provisioned", {}).get("status") == "True"
    return State(body["spec"]["userId"], status.get("phase", ""), provisioned, wrong[0] if wrong else "")
