"""Workers that take keys from the queue and reconcile them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tenant_api.apiserver_errors import ApiError, ApiUnavailable

from ..apiserver.errors import Conflict
from ..keys import Key
from ..world import World

log = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[None]]


class Workers:
    """So many of them; nothing that goes wrong with one key ends a worker."""

    def __init__(self, world: World, reconcilers: dict[str, Reconcile]) -> None:
        self._world = world
        self._reconcilers = reconcilers

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._world.settings.workers):
                group.create_task(self._work(), name=f"reconcile worker {number}")

    async def _work(self) -> None:
        queue = self._world.queue
        while True:
            key = await queue.get()
            try:
                await self._one(key)
            finally:
                queue.done(key)

    async def _one(self, key: Key) -> None:
        queue, metrics = self._world.queue, self._world.metrics
        began = time.monotonic()
        try:
            await self._reconcilers[key.kind](key)
        except Conflict as error:
            outcome = "conflict"
            queue.failed(key)
            log.debug("%s: changed meanwhile: %s", key, error)
        except ApiUnavailable as error:
            outcome = "unavailable"
            pause = queue.failed(key, at_least=error.retry_after)
            log.warning("%s: again in %.1f s: %s", key, pause, error)
        except ApiError as error:
            outcome = "refused"
            pause = queue.failed(key)
            log.warning("%s: again in %.1f s: %s", key, pause, error)
        except Exception:
            outcome = "error"
            pause = queue.failed(key)
            log.exception("%s: again in %.1f s", key, pause)
        else:
            outcome = "done"
            queue.forgive(key)
        metrics.reconciles.labels(key.kind, outcome).inc()
        metrics.seconds.labels(key.kind).observe(time.monotonic() - began)
