"""/healthz, /readyz and /metrics, for probes and Prometheus."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .cache.cache import WATCHED
from .feed import Feed
from .leader import Leadership
from .world import World


class HealthServer:
    """The operator's own port."""

    def __init__(self, world: World, feed: Feed, leadership: Leadership) -> None:
        self._world, self._feed, self._leadership = world, feed, leadership
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self.port = 0

    async def start(self) -> None:
        """Serve from now on.

        Raises
        ------
        OSError
            The address can't be had.
        """
        host, port = self._world.settings.health
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def _readyz(self, _: web.Request) -> web.Response:
        """A standby is ready too: it knows everything and waits for its turn."""
        ready = self._feed.synced
        body = {"ready": ready, "leading": self._leadership.leading, "leader": self._leadership.holder}
        return web.json_response(body, status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        metrics, world = self._world.metrics, self._world
        metrics.queue.set(len(world.queue))
        metrics.leading.set(self._leadership.leading)
        for resource in WATCHED:
            metrics.known.labels(resource.plural).set(world.cache.count(resource))
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
