"""All records, by kind, namespace and name, and what is asked of them across tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar, cast

from tenant_api.kubernetes_names import GATEWAY, child_name

from ..apiserver.resources import CLAIM, DEPLOYMENT, POD, SECRET, TEMPLATE, TENANT, Json, Resource
from .projection import (
    claim_record,
    deployment_record,
    pod_record,
    secret_record,
    template_record,
    tenant_record,
    version_of,
)
from .records import (
    ChildRecord,
    ClaimRecord,
    DeploymentRecord,
    PodRecord,
    Record,
    TemplateRecord,
    TenantRecord,
    TenantView,
)

R = TypeVar("R", bound=Record)
Name = tuple[str, str]
"""Namespace and name."""

WATCHED: Final = (TEMPLATE, TENANT, DEPLOYMENT, CLAIM, SECRET, POD)


@dataclass(slots=True)
class _Shelf(Generic[R]):
    """The records of one kind."""

    project: Callable[[Json], R]
    records: dict[Name, R] = field(default_factory=dict)


class Cache:
    """What is known. Tells nobody of changes: who feeds it does."""

    def __init__(self) -> None:
        self._tenants = _Shelf(tenant_record)
        self._templates = _Shelf(template_record)
        self._deployments = _Shelf(deployment_record)
        self._claims = _Shelf(claim_record)
        self._secrets = _Shelf(secret_record)
        self._pods = _Shelf(pod_record)
        self._shelves: dict[str, _Shelf[Record]] = {
            resource.plural: cast("_Shelf[Record]", shelf)
            for resource, shelf in (
                (TENANT, self._tenants),
                (TEMPLATE, self._templates),
                (DEPLOYMENT, self._deployments),
                (CLAIM, self._claims),
                (SECRET, self._secrets),
                (POD, self._pods),
            )
        }
        self._pods_of: dict[Name, dict[str, PodRecord]] = {}
        self._claimants: dict[bytes, dict[Name, TenantRecord]] = {}
        """Token digest → tenants that have it in their spec."""
        self._followers: dict[Name, set[Name]] = {}
        """Template → its tenants."""

    # Feeding

    def put(self, resource: Resource, body: Json) -> Record | None:
        """Take in an object; return its record, or None if what is known is as new or newer."""
        shelf, metadata = self._shelves[resource.plural], body["metadata"]
        name = (metadata["namespace"], metadata["name"])
        before = shelf.records.get(name)
        # Before the work of a projection: each of our own writes comes twice, as its answer and by the watch.
        if before is not None and before.uid == metadata["uid"] and before.version >= version_of(metadata):
            return None
        record = shelf.project(body)
        if before is not None:
            self._unlink(before)
            _keep_comparison(before, record)
        shelf.records[name] = record
        self._link(record)
        return record

    def remove(self, resource: Resource, namespace: str, name: str, uid: str) -> Record | None:
        """Drop an object that is gone; return its record, or None if another one has taken its name."""
        shelf = self._shelves[resource.plural]
        before = shelf.records.get((namespace, name))
        if before is None or before.uid != uid:
            return None
        del shelf.records[namespace, name]
        self._unlink(before)
        return before

    def prune(self, resource: Resource, namespace: str, names: set[str], before: int) -> list[Record]:
        """Drop what a full list did not have and is not newer than it; return the records."""
        gone = [
            record
            for (space, name), record in self._shelves[resource.plural].records.items()
            if space == namespace and name not in names and record.version <= before
        ]
        for record in gone:
            self.remove(resource, record.namespace, record.name, record.uid)
        return gone

    # Asking

    def tenants(self) -> Iterable[TenantRecord]:
        """All tenants."""
        return self._tenants.records.values()

    def templates(self) -> Iterable[TemplateRecord]:
        """All templates."""
        return self._templates.records.values()

    def claims(self) -> Iterable[ClaimRecord]:
        """All claims of tenants, also of those that are gone."""
        return self._claims.records.values()

    def tenant(self, name: Name) -> TenantRecord | None:
        """Return a Tenant."""
        return self._tenants.records.get(name)

    def template(self, name: Name) -> TemplateRecord | None:
        """Return a TenantTemplate."""
        return self._templates.records.get(name)

    def deployment(self, name: Name) -> DeploymentRecord | None:
        """Return a tenant's Deployment."""
        return self._deployments.records.get((name[0], child_name(name[1])))

    def child(self, resource: Resource, namespace: str, name: str) -> Record | None:
        """Return an object by its kind and own name."""
        return self._shelves[resource.plural].records.get((namespace, name))

    def project_claim(self, body: Json) -> ClaimRecord:
        """Return the record of a claim without taking it in."""
        return self._claims.project(body)

    def view(self, name: Name) -> TenantView:
        """Return all that is known of a tenant."""
        child = (name[0], child_name(name[1]))
        pods = self._pods_of.get(name, {}).values()
        return TenantView(
            self._tenants.records.get(name),
            self._deployments.records.get(child),
            self._claims.records.get(child),
            self._secrets.records.get(child),
            [pod for pod in pods if pod.component == GATEWAY],
        )

    def pod(self, name: Name) -> PodRecord | None:
        """Return a pod by its own namespace and name."""
        return self._pods.records.get(name)

    def followers(self, template: Name) -> list[Name]:
        """Return the tenants of a template."""
        return sorted(self._followers.get(template, ()))

    def follower_count(self, template: Name) -> int:
        """Return how many tenants a template has."""
        return len(self._followers.get(template, ()))

    def used(self, template: Name) -> bool:
        """Tell whether a template has tenants, or pods that were made from it and still run."""
        return self.follower_count(template) > 0 or any(
            (pod.namespace, pod.template) == template for pod in self._pods.records.values()
        )

    def rivals(self, tenant: TenantRecord) -> Iterator[tuple[bytes, TenantRecord]]:
        """Yield (token digest, its keeper) for tokens of a tenant that an older tenant keeps."""
        for digest in tenant.tokens:
            keeper = self.keeper(digest)
            if keeper is not None and keeper.uid != tenant.uid:
                yield digest, keeper

    def keeper(self, digest: bytes) -> TenantRecord | None:
        """Return the oldest tenant that has a token."""
        claimants = self._claimants.get(digest, {}).values()
        return min((one for one in claimants if not one.deleted), key=lambda one: one.age, default=None)

    def claimants(self, digest: bytes) -> list[Name]:
        """Return all tenants that have a token."""
        return list(self._claimants.get(digest, ()))

    def count(self, resource: Resource) -> int:
        """Return how many objects of a kind are known."""
        return len(self._shelves[resource.plural].records)

    # Indexes

    def _link(self, record: Record) -> None:
        name = (record.namespace, record.name)
        if isinstance(record, TenantRecord):
            for digest in record.tokens:
                self._claimants.setdefault(digest, {})[name] = record
            self._followers.setdefault((record.namespace, record.template), set()).add(name)
        elif isinstance(record, PodRecord):
            self._pods_of.setdefault(record.key, {})[record.name] = record

    def _unlink(self, record: Record) -> None:
        name = (record.namespace, record.name)
        if isinstance(record, TenantRecord):
            for digest in record.tokens:
                _discard(self._claimants, digest, name)
            followers = self._followers.get((record.namespace, record.template))
            if followers is not None:
                followers.discard(name)
                if not followers:
                    del self._followers[record.namespace, record.template]
        elif isinstance(record, PodRecord):
            _discard(self._pods_of, record.key, record.name)


K = TypeVar("K")
J = TypeVar("J")
V = TypeVar("V")


def _discard(index: dict[K, dict[J, V]], key: K, name: J) -> None:
    entries = index.get(key)
    if entries is not None:
        entries.pop(name, None)
        if not entries:
            del index[key]


def _keep_comparison(before: Record, record: Record) -> None:
    """Keep what was found by comparing, where the object still says the same."""
    if (
        isinstance(before, ChildRecord)
        and isinstance(record, ChildRecord)
        and not before.content
        and before.fingerprint == record.fingerprint
        and before.applied == record.applied
    ):
        record.content = b""
