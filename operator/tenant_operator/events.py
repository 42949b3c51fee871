"""Kubernetes Events: told once, then counted. Best effort: nobody waits for them, and a flood is dropped."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from tenant_api.apiserver_errors import ApiError

from .apiserver.client import ApiClient
from .apiserver.errors import NotFound
from .apiserver.resources import EVENT, Json, Resource
from .cache.records import Record
from .metrics import Metrics
from .times import rfc3339

log = logging.getLogger(__name__)

WAITING: Final = 1000
"""Events not sent yet; beyond that the API server is in trouble and needs no more of them."""
REMEMBERED: Final = 4096
"""Events whose count is kept, as client-go's correlator does."""
PAUSE: Final = 300.0
"""Seconds between two writes of the same Event: what happens over and over is counted meanwhile."""
COMPONENT: Final = "openclaw-tenancy-operator"


@dataclass(slots=True)
class _Told:
    name: str
    first: float
    count: int
    written: float


@dataclass(frozen=True, slots=True)
class _Event:
    resource: Resource
    namespace: str
    name: str
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    @property
    def identity(self) -> bytes:
        text = "\0".join((self.uid, self.type, self.reason, self.message))
        return hashlib.sha256(text.encode()).digest()


class Events:
    """Tells events. `run` sends them."""

    def __init__(self, api: ApiClient, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._api = api
        self._clock = clock
        self._metrics = metrics
        self._queue: asyncio.Queue[_Event] = asyncio.Queue(WAITING)
        self._told: OrderedDict[bytes, _Told] = OrderedDict()

    def tell(self, resource: Resource, record: Record, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell an Event about an object. What has the same words is the same Event: no times in them, no counts."""
        event = _Event(
            resource, record.namespace, record.name, record.uid, "Warning" if warning else "Normal", reason, message
        )
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._metrics.events_dropped.inc()

    async def sent(self) -> None:
        """Wait until all that was told is dealt with, by a `run` that is under way."""
        await self._queue.join()

    async def run(self) -> None:
        """Send events until cancelled."""
        while True:
            event = await self._queue.get()
            try:
                await self._send(event)
            except ApiError as error:
                self._metrics.events_dropped.inc()
                log.debug("event %s about %s not told: %s", event.reason, event.name, error)
            finally:
                self._queue.task_done()

    async def _send(self, event: _Event) -> None:
        now = self._clock()
        told = self._told.get(event.identity)
        if told is not None:
            told.count += 1
            self._told.move_to_end(event.identity)
            if now - told.written < PAUSE:
                return
            told.written = now
            patch: Json = {"count": told.count, "lastTimestamp": rfc3339(now)}
            try:
                await self._api.merge(EVENT, event.namespace, told.name, patch)
                return
            except NotFound:
                pass  # Events live for an hour; a new one begins
        name = f"{event.name}.{int(now * 1e6):x}{event.identity[:3].hex()}"
        await self._api.create(EVENT, event.namespace, _body(event, name, now))
        self._told[event.identity] = _Told(name, now, 1, now)
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


def _body(event: _Event, name: str, now: float) -> Json:
    return {
        "metadata": {"name": name, "namespace": event.namespace},
        "involvedObject": {
            "apiVersion": event.resource.api_version,
            "kind": event.resource.kind,
            "namespace": event.namespace,
            "name": event.name,
            "uid": event.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": event.message[:1024],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": rfc3339(now),
        "lastTimestamp": rfc3339(now),
        "count": 1,
    }
