"""All parked connections of a router: told every while that all is well, and brought back when their gateway is awake."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Container
from functools import partial
from typing import TYPE_CHECKING, Final

from ..relay.pair import Detached
from .answers import Answers, tick
from .frames import text
from .machine import Machine
from .parked import Parked
from .returning import bring_back

if TYPE_CHECKING:
    from ..live import Connection
    from ..server import Router

log = logging.getLogger(__name__)

ROUND: Final = 25
"""Seconds between two ticks of a parked client: upstream's come every 30 s, and clients give up after 60 without any."""
SLOTS: Final = 64
"""Clients that say hello again at once: when all of a thousand come back, each takes 50 KiB for some milliseconds."""
MAX_TENANTS: Final = 4096
"""Tenants whose answers are kept, some KiB each; the polls of others wake once more."""


class Lot:
    """Parked connections by tenant."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self.selector = router.selector
        self._parked: dict[str, set[Parked]] = {}
        self._answers: dict[str, Answers] = {}
        self._round: list[set[Parked]] = [set() for _ in range(ROUND)]
        self._second = 0
        self.slots = asyncio.Semaphore(SLOTS)
        """Held while a client's hello is being said again."""
        self._evicting: dict[str, asyncio.Task[None]] = {}

    def count(self, key: str) -> int:
        """Parked connections of a tenant."""
        return len(self._parked.get(key, ()))

    @property
    def connections(self) -> int:
        """Parked connections of all tenants."""
        return sum(map(len, self._parked.values()))

    def answers(self, key: str) -> Answers:
        """Return what is known of a tenant's answers to polls."""
        found = self._answers.pop(key, None) or Answers()
        self._answers[key] = found  # the latest last
        if len(self._answers) > MAX_TENANTS:
            del self._answers[next(iter(self._answers))]
        return found

    def machine(self, connection: Connection, received: bytes) -> Machine:
        """Return the state of a connection that was just taken out of the relay."""
        answers = self.answers(connection.match.tenant.key)
        return Machine(connection.noted, connection.scopes, connection.passive, answers, received)

    def park(self, connection: Connection, sock: socket.socket, machine: Machine) -> None:
        """Take a client whose gateway is gone."""
        key = connection.match.tenant.key
        parked = Parked(self, connection, sock, machine)
        self._parked.setdefault(key, set()).add(parked)
        connection.parked(parked)
        self._router.metrics.parked.inc()
        parked.slot = (self._second + 1 + self.connections) % ROUND
        self._round[parked.slot].add(parked)
        parked.say(machine.park())
        if sock.fileno() < 0:
            return
        if machine.wanted is not None:
            self.wanted(parked)
        else:
            parked.listen()

    def deserted(self, connection: Connection, detached: Detached) -> None:
        """Take a quiet client whose gateway died."""
        self._router.metrics.deserted.inc()
        self.park(connection, detached.sock, self.machine(connection, detached.received))

    # What brings them back

    def wanted(self, parked: Parked) -> None:
        """A parked client needs its gateway."""
        connection = parked.connection
        method = parked.machine.wanted or "a message"
        connection.asked()
        log.info("tenant %s: a parked client asked for %s", connection.match.tenant.key, method)
        self._bring_back(parked, f"a parked client asked for {method}", "request")

    def woken(self, key: str, reason: str) -> None:
        """A tenant's gateway answers: its parked clients go back to it, so that they hear what happens."""
        for parked in list(self._parked.get(key, ())):
            if parked.task is None:
                self._bring_back(parked, reason, "awake")

    def _bring_back(self, parked: Parked, reason: str, kind: str) -> None:
        if parked.task is not None:
            return
        parked.watch_end()
        self._router.metrics.wakes_of_parked.labels(kind).inc()
        parked.task = asyncio.get_running_loop().create_task(
            bring_back(self._router, self, parked, reason), name="parked connection"
        )
        parked.task.add_done_callback(_report)

    def others(self, key: str, but: Parked) -> list[asyncio.Task[None]]:
        """Return the tasks that bring a tenant's other clients back, which have no request of their own."""
        return [
            parked.task
            for parked in self._parked.get(key, ())
            if parked is not but and parked.task is not None and parked.machine.wanted is None
        ]

    def coming_back(self, key: str) -> bool:
        """Tell whether a client of this tenant is on its way back to its gateway."""
        return any(parked.task is not None for parked in self._parked.get(key, ()))

    def second(self) -> None:
        """Tell a part of the clients that all is well; see whose gateway is awake. To be called once a second."""
        self._second = (self._second + 1) % ROUND
        frames = text(tick())
        for parked in list(self._round[self._second]):
            parked.say(frames)
        for key in list(self._parked):
            if self._router.awake(key) is not None:
                self.woken(key, "its gateway is awake")
        for key in self._router.live.stranded(self._router.fleet.awake):
            self.evict(key)

    def evict(self, key: str) -> None:
        """Have the quiet clients of a gateway parked that somebody ends; nothing is done for those of one that goes on."""
        if key in self._evicting:
            return
        task = asyncio.get_running_loop().create_task(self._router.suspends.evicted(key), name=f"evict {key}")
        self._evicting[key] = task
        task.add_done_callback(_report)
        task.add_done_callback(partial(self._evicted, key))

    def _evicted(self, key: str, _: asyncio.Task[None]) -> None:
        self._evicting.pop(key, None)

    # The end

    def back(self, parked: Parked) -> None:
        """Forget a client that is relayed again."""
        self._forget(parked)

    def ended(self, parked: Parked) -> None:
        """Forget a client that is gone."""
        self._forget(parked)
        parked.connection.gone()

    def _forget(self, parked: Parked) -> None:
        key = parked.connection.match.tenant.key
        self._round[parked.slot].discard(parked)
        if (there := self._parked.get(key)) is None or parked not in there:
            return
        there.discard(parked)
        self._router.metrics.parked.dec()
        if not there:
            del self._parked[key]

    def say_goodbye(self, key: str, words: bytes, tokens: Container[str] | None = None) -> None:
        """Close a tenant's parked connections, or those of some of its tokens, with last frames."""
        for parked in list(self._parked.get(key, ())):
            if tokens is None or parked.connection.match.token_name in tokens:
                parked.goodbye(words)

    def all(self) -> list[Parked]:
        """Return all parked connections."""
        return [parked for there in self._parked.values() for parked in there]

    async def close(self) -> None:
        """Drop all."""
        everyone = self.all()
        tasks = [parked.task for parked in everyone if parked.task is not None]
        tasks += self._evicting.values()
        for evicting in self._evicting.values():
            evicting.cancel()
        for parked in everyone:
            parked.end()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s ended with an error of ours", task.get_name(), exc_info=error)
