"""The router as a whole: what its connections share, its start, its sweep and its drain."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Container
from functools import partial
from itertools import count

from .activity import Activity
from .connection import serve
from .fleet import Fleet, GatewayAddress
from .http.front import HttpFront
from .limits import AuthFailures, RequestRate
from .listener import Listener, listening_socket
from .live import GOODBYE_SECONDS, Live, restarting
from .loop import running_selector
from .metrics import RouterMetrics
from .opening import Opening
from .origin import Origins
from .park.handover import hand_over
from .park.lot import Lot
from .settings import MAX_OPENING, RouterSettings
from .suspend.conversation import Suspends
from .wake.admission import Admission
from .wake.probe import probe
from .wake.waker import Waker
from .wire import Wire

log = logging.getLogger(__name__)

SWEEP = 0.25
"""Seconds between two looks at the deadlines of open handshakes; their limits are seconds."""
RELAY_SWEEP = 4
"""Sweeps for one of the relay, whose time goes by the second."""


class Router:
    """One router process. Everything runs on the loop it was made on, which must be a `RelayLoop`."""

    def __init__(self, fleet: Fleet, settings: RouterSettings, activity: Activity | None = None) -> None:
        self.fleet = fleet
        self.settings = settings
        self.selector = running_selector()
        self.metrics = RouterMetrics()
        self.activity = activity or Activity()
        self.live = Live(self.selector, self.activity, self.metrics, fleet.passive_methods)
        admission = Admission(settings.max_concurrent_wakes, settings.max_queued_wakes)
        self.lot = Lot(self)
        self.suspends = Suspends(self)
        self.selector.keep_when_lost(self.live.keep(self.lot.deserted))
        self.waker = Waker(
            fleet, partial(probe, self.selector), admission, self.metrics, self.suspends.asleep, self.lot.woken
        )
        self.origins = Origins(settings.trusted_proxies)
        self.failures = AuthFailures()
        self.rate = RequestRate()
        self.http = HttpFront(self)
        self.draining = False
        self._loop = asyncio.get_running_loop()
        self._openings: set[Opening] = set()
        self._listener: Listener | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the router listens on, after `start`."""
        assert self._listener is not None
        host, port = self._listener.sock.getsockname()[:2]
        return host, port

    @property
    def listening(self) -> bool:
        """Whether clients can connect."""
        return self._listener is not None and self._listener.sock.fileno() != -1

    def awake(self, key: str) -> GatewayAddress | None:
        """Return the address of a tenant's gateway that is believed to be up and was not put to sleep."""
        address = self.fleet.awake(key)
        return None if address is None or self.suspends.asleep(address) else address

    def start(self, sock: socket.socket | None = None) -> None:
        """Accept from now on, on a socket that listens already (`listening_socket`) or on the address of the settings.

        Raises
        ------
        OSError
            The address can't be had.
        """
        sock = sock or listening_socket(*self.settings.listen)
        self._listener = Listener(sock, lambda: len(self._openings) >= MAX_OPENING, self._accepted)
        self._sweeper = self._loop.create_task(self._sweep(), name="router sweep")

    def _accepted(self, sock: socket.socket, peer: str) -> None:
        self.metrics.accepted.inc()
        opening = Opening()
        self._openings.add(opening)
        task = opening.task = self._loop.create_task(
            serve(self, Wire(self.selector, sock), peer, opening), name="opening"
        )
        task.add_done_callback(partial(self._opened, opening))

    def _opened(self, opening: Opening, task: asyncio.Task[None]) -> None:
        self._openings.discard(opening)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection ended with an error of ours", exc_info=error)

    async def _sweep(self) -> None:
        for turn in count(1):
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for opening in [one for one in self._openings if one.deadline <= now]:
                opening.expire()
            if turn % RELAY_SWEEP == 0:
                self.selector.sweep()
                self.lot.second()
            self.metrics.opening.set(len(self._openings))

    def revoke(self, key: str, tokens: Container[str] | None = None) -> None:
        """End what a tenant's clients have open, or those who came by some of its tokens (None: all), both ways in."""
        self.live.revoke(key, tokens)
        self.http.revoke(key, tokens)

    async def drain(self) -> None:
        """End as upstream ends on SIGTERM: accept no more, tell the clients (`shutdown`, 1012), drop the rest at the deadline.

        With `handover`, those who are quiet are told a few at a time, and the others when they are or shortly before it.
        """
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        deadline = time.monotonic() + self.settings.drain_timeout
        if self.settings.handover > 0:
            await hand_over(self, self.settings.handover, deadline - GOODBYE_SECONDS)
        self.live.tell_shutdown()
        for parked in self.lot.all():
            parked.goodbye(restarting())
        await self.http.drain(deadline)
        while (self.live.connections or self._openings) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        await self.close()

    async def close(self) -> None:
        """Drop everything now."""
        if self._listener is not None:
            self._listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self.suspends.close()
        self.live.drop_all()
        await self.lot.close()
        tasks = [opening.task for opening in self._openings if opening.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.waker.close()
        await self.http.close()
