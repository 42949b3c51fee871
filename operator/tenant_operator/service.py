"""The operator as a whole: know everything, wait for the lead, then work."""

from __future__ import annotations

import asyncio
import logging
import signal

from tenant_api.apiserver_errors import ApiError
from tenant_api.garbage import settle
from tenant_api.variables import SettingsError

from .apiserver.access import Access
from .apiserver.client import ApiClient
from .apiserver.whereabouts import Whereabouts, keep_looking
from .cache.cache import Cache
from .events import Events
from .feed import SPREAD, Feed, keep_synced
from .health import HealthServer
from .idle.loop import IdleLoop
from .idle.timers import Timers
from .keys import namespace_key
from .leader import Leadership
from .metrics import Metrics
from .queue import WorkQueue
from .reconcile.children import Children
from .reconcile.namespace import NamespaceReconciler
from .reconcile.policies import Policies
from .reconcile.template import TemplateReconciler
from .reconcile.tenant import TenantReconciler
from .reconcile.volume import Volumes
from .reconcile.workers import Workers
from .settings import OperatorSettings, check_egress
from .watches import watch
from .world import World

log = logging.getLogger(__name__)

AGAIN = 2.0
"""Seconds between tries to list everything at the start."""
UNWATCH = 5.0
"""Seconds for kopf to close its watches."""


class Operator:
    """One replica."""

    def __init__(self, settings: OperatorSettings) -> None:
        metrics = Metrics()
        api = ApiClient(Access(), metrics.called)
        self.world = World(settings, api, Cache(), WorkQueue(), Events(api, metrics), metrics)
        self.feed = Feed(self.world)
        self._whereabouts = Whereabouts(api, settings.apiserver)
        self.leadership = Leadership(api, settings.lease_namespace, settings.identity)
        self.health = HealthServer(self.world, self.feed, self.leadership)
        timers = Timers()
        children = Children(self.world)
        policies = Policies(api, self.world.cache, self.world.templates, settings.traffic)
        self._idle = IdleLoop(self.world, children, timers)
        self._workers = Workers(
            self.world,
            {
                "tenant": TenantReconciler(self.world, children, Volumes(self.world), timers).reconcile,
                "template": TemplateReconciler(self.world, policies).reconcile,
                "namespace": NamespaceReconciler(self.world, policies).reconcile,
            },
        )

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises
        ------
        LeadershipLost
            Another one leads: the process must end at once.
        SettingsError
            OPENCLAW_TENANCY_EGRESS opens the API server.
        OSError
            The health port can't be had.
        """
        stop, unwatch = asyncio.Event(), asyncio.Event()

        def take_signals() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)

        take_signals()
        await self.health.start()
        stopped = asyncio.create_task(_until(stop), name="stop")
        working: list[asyncio.Task[None]] = []
        watching: asyncio.Task[None] | None = None
        try:
            listing = asyncio.create_task(self._list(), name="first list")
            working.append(listing)
            await _first_of(stopped, listing)
            if stop.is_set():
                return
            namespaces = self.world.settings.namespaces
            watching = asyncio.create_task(watch(self.feed, namespaces, unwatch, take_signals), name="kopf")
            working.append(asyncio.create_task(keep_synced(self.world, self.feed), name="full lists"))
            working.append(asyncio.create_task(keep_looking(self._whereabouts, self._moved), name="whereabouts"))
            working.append(asyncio.create_task(self._lead(), name="leader"))
            await _first_of(stopped, watching, *working[1:])
        finally:
            # First the work, then the Lease, so that a standby never works beside it; kopf last, as it ends what is left.
            await _end(*working)
            await self.leadership.release()
            unwatch.set()
            if watching is not None:
                await _finish(watching)
            await _end(stopped)
            await self.world.api.close()
            await self.health.stop()

    async def _list(self) -> None:
        while True:
            try:
                apiserver = await self._whereabouts.look()
                check_egress(self.world.settings.traffic, apiserver)
                self.world.templates.close(apiserver)
                await self.feed.list_all()
                return
            except ApiError as error:
                log.warning("tenants can't be listed, trying again (are the CRDs installed?): %s", error)
                await asyncio.sleep(AGAIN)

    def _moved(self, apiserver: frozenset[tuple[str, int]]) -> None:
        """Have policies and templates looked at again if the API server has another address."""
        if apiserver == self.world.templates.apiserver:
            return
        log.info("the API server is at %s", ", ".join(f"{host} port {port}" for host, port in sorted(apiserver)))
        try:
            check_egress(self.world.settings.traffic, apiserver)
        except SettingsError as error:
            # Its entry is out of the policies from now on; tenants are not left alone for it.
            log.error("%s; it is closed, and the next start is refused", error)
        self.world.templates.close(apiserver)
        for namespace in self.world.settings.namespaces:
            self.world.queue.add(namespace_key(namespace), urgent=True)
        self.feed.everything(SPREAD)

    async def _lead(self) -> None:
        await self.leadership.acquire()
        settle()
        self.feed.everything()
        jobs = (
            asyncio.create_task(self.leadership.hold(), name="lease"),
            asyncio.create_task(self._workers.run(), name="workers"),
            asyncio.create_task(self.world.events.run(), name="events"),
            asyncio.create_task(self._idle.run(), name="idle"),
        )
        try:
            await _first_of(*jobs)
        finally:
            await _end(*jobs)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _first_of(*tasks: asyncio.Task[None]) -> None:
    """Wait until one ends; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _finish(watching: asyncio.Task[None]) -> None:
    """Let kopf end by itself, and by force if it does not."""
    await asyncio.wait({watching}, timeout=UNWATCH)
    await _end(watching)
