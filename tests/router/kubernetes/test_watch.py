"""List and watch against a real API server: pages, resuming, too old a version, and objects that can't be read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
from kubernetes_world import Cluster

from deadlines import eventually
from tenant_api.kubernetes_names import GROUP, TENANTS, VERSION
from tenant_router.kubernetes import watch as watch_module
from tenant_router.kubernetes.access import ApiAccess
from tenant_router.kubernetes.client import ApiServer
from tenant_router.kubernetes.objects import Tenant
from tenant_router.kubernetes.watch import Watch

pytestmark = pytest.mark.cluster


class Seen:
    """What a watch told."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.listed: list[str] = []

    def put(self, item: Tenant, listed: bool) -> None:
        self.names.add(item.metadata.name)
        if listed:
            self.listed.append(item.metadata.name)

    def gone(self, item: Tenant) -> None:
        self.names.discard(item.metadata.name)

    def keep(self, namespace: str, names: set[str]) -> None:
        self.names &= names


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def watch(cluster: Cluster, seen: Seen) -> Watch[Tenant]:
    return Watch(cluster.api, f"/apis/{GROUP}/{VERSION}", cluster.namespace, TENANTS, Tenant, seen)


@pytest.fixture
async def start(watch: Watch[Tenant]) -> AsyncIterator[Callable[[], asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []

    def begin() -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(watch.run()))
        return tasks[-1]

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_list_is_read_in_pages_and_then_watched(
    cluster: Cluster, seen: Seen, watch: Watch[Tenant], start: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "PAGE", 2)
    for name in ("a", "b", "c", "d", "e"):
        await cluster.tenant(name, provisioned=False)
    start()
    await asyncio.wait_for(watch.listed.wait(), 5)
    assert seen.listed == ["a", "b", "c", "d", "e"]
    await cluster.tenant("f", provisioned=False)
    await eventually(lambda: "f" in seen.names, 5)
    await cluster.delete(TENANTS, "a")
    await eventually(lambda: "a" not in seen.names, 5)
    assert watch.lists == 1


async def test_a_version_that_is_too_old_is_listed_anew_and_nothing_is_missed(
    cluster: Cluster, seen: Seen, watch: Watch[Tenant], start: Callable[[], asyncio.Task[None]]
) -> None:
    await cluster.tenant("a", provisioned=False)
    await cluster.tenant("b", provisioned=False)
    first = start()
    await asyncio.wait_for(watch.listed.wait(), 5)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await cluster.delete(TENANTS, "a")
    await cluster.tenant("c", provisioned=False)
    # Of the API server's first minutes: no watch cache goes back that far.
    watch._version = "1"
    start()
    await eventually(lambda: seen.names == {"b", "c"}, 5)
    assert watch.lists == 2


async def test_a_watch_goes_on_where_it_was_when_the_server_ends_it(
    cluster: Cluster, seen: Seen, watch: Watch[Tenant], start: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "LIFE", (1.0, 1.0))
    start()
    await asyncio.wait_for(watch.listed.wait(), 5)
    for name in ("a", "b", "c"):
        await cluster.tenant(name, provisioned=False)

        def is_seen(name: str = name) -> bool:
            return name in seen.names

        await eventually(is_seen, 5)
        await asyncio.sleep(0.7)  # past the end of a watch
    assert watch.lists == 1


async def test_a_kind_that_is_not_there_is_said_and_tried_again(cluster: Cluster, seen: Seen) -> None:
    absent = Watch(cluster.api, f"/apis/{GROUP}/{VERSION}", cluster.namespace, "nothings", Tenant, seen)
    task = asyncio.create_task(absent.run())
    try:
        await eventually(lambda: "404" in (absent.problem or ""), 5)
        assert not absent.listed.is_set()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_credentials_that_are_refused_are_said(cluster: Cluster, seen: Seen) -> None:
    no_certificate = ssl.create_default_context()
    no_certificate.check_hostname = False
    no_certificate.verify_mode = ssl.CERT_NONE

    class Nobody(ApiAccess):
        def __init__(self) -> None:
            self.server, self.ssl = cluster.api._access.server, no_certificate

        async def headers(self) -> dict[str, str]:
            return {"Authorization": "Bearer nobody"}

        async def reload(self) -> bool:
            return False

    api = ApiServer(Nobody())
    refused = Watch(api, f"/apis/{GROUP}/{VERSION}", cluster.namespace, TENANTS, Tenant, seen)
    task = asyncio.create_task(refused.run())
    try:
        await eventually(lambda: "401" in (refused.problem or ""), 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()
