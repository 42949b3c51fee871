"""The operator as a whole: know everything, wait for the lead, then work."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from .apiserver.access import Access
from .apiserver.client import ApiClient
from .apiserver.errors import ApiError
from .cache.cache import Cache
from .events import Events
from .feed import Feed, keep_synced
from .health import HealthServer
from .idle.loop import IdleLoop
from .idle.timers import Timers
from .leader import Leadership
from .metrics import Metrics
from .queue import WorkQueue
from .reconcile.children import Children
from .reconcile.namespace import NamespaceReconciler
from .reconcile.template import TemplateReconciler
from .reconcile.tenant import TenantReconciler
from .reconcile.volume import Volumes
from .reconcile.workers import Workers
from .settings import OperatorSettings
from .watches import watch
from .world import World

log = logging.getLogger(__name__)

AGAIN = 2.0
"""Seconds between tries to list everything at the start."""


class Operator:
    """One replica."""

    def __init__(self, settings: OperatorSettings) -> None:
        metrics = Metrics()
        api = ApiClient(Access(), metrics.called)
        self.world = World(settings, api, Cache(), WorkQueue(), Events(api, metrics), metrics)
        self.feed = Feed(self.world)
        self.leadership = Leadership(api, settings.lease_namespace, settings.identity)
        self.health = HealthServer(self.world, self.feed, self.leadership)
        timers = Timers()
        children = Children(self.world)
        self._idle = IdleLoop(self.world, children, timers)
        self._workers = Workers(
            self.world,
            {
                "tenant": TenantReconciler(self.world, children, Volumes(self.world), timers).reconcile,
                "template": TemplateReconciler(self.world).reconcile,
                "namespace": NamespaceReconciler(self.world).reconcile,
            },
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to end, by `stop` or a signal.

        Raises
        ------
        LeadershipLost
            Another one leads: the process must end at once.
        OSError
            The health port can't be had.
        """
        await self.health.start()
        tasks: set[asyncio.Task[None]] = set()
        try:
            stopped = asyncio.create_task(_until(stop), name="stop")
            working = asyncio.create_task(self._run(stop, tasks), name="operator")
            tasks |= {stopped, working}
            await asyncio.wait({stopped, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            stop.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.leadership.release()
            await self.world.api.close()
            await self.health.stop()

    async def _run(self, stop: asyncio.Event, tasks: set[asyncio.Task[None]]) -> None:
        await self._list()
        watching = asyncio.create_task(watch(self.feed, self.world.settings.namespaces, stop), name="kopf")
        syncing = asyncio.create_task(keep_synced(self.world, self.feed), name="full lists")
        leading = asyncio.create_task(self._lead(), name="leader")
        tasks |= {watching, syncing, leading}
        done, _ = await asyncio.wait({watching, syncing, leading}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _list(self) -> None:
        while True:
            try:
                await self.feed.list_all()
                return
            except ApiError as error:
                log.warning("tenants can't be listed, trying again (are the CRDs installed?): %s", error)
                await asyncio.sleep(AGAIN)

    async def _lead(self) -> None:
        await self.leadership.acquire()
        self.feed.everything()
        jobs = {
            asyncio.create_task(self.leadership.hold(), name="lease"),
            asyncio.create_task(self._workers.run(), name="workers"),
            asyncio.create_task(self.world.events.run(), name="events"),
            asyncio.create_task(self._idle.run(), name="idle"),
        }
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*jobs, return_exceptions=True)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
