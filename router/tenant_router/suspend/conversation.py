"""The conversation by which a gateway is put to sleep: fence → prepare → park, or open again at any point.

Who leads it (the local fleet, the operator) asks every router to fence, one of them to prepare, and then every one to park,
and only then stops the gateway. Nothing is lost at any instant: behind a fence requests wait in the kernel; a ping through
each connection shows that the gateway has taken what came before; only then is it asked whether anything runs.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from websockets.frames import Close, Frame, Opcode

from ..fleet import GatewayAddress, TenantRecord
from ..live import Connection, restarting
from ..park.fenced import Fenced as FencedConnection
from ..park.fenced import probe
from ..wake.waker import WakeKind
from . import answers
from .control import ControlFailed, controlling

if TYPE_CHECKING:
    from ..server import Router

log = logging.getLogger(__name__)

LEASE: Final = 30.0
"""Seconds after which a fence opens by itself: whoever led the conversation has died."""
LIFTING: Final = 1.0
"""Seconds for a connection to come to the end of a message; an idle one stands there."""
QUIET: Final = 0.25
"""Seconds since the last real request: one that came after the decision to sleep was made on older knowledge."""
PREPARED_FOR: Final = 120.0
"""Seconds for which a prepared gateway takes no requests (upstream's and ours: `expiresAtMs`)."""
_GOODBYE: Final = Frame(Opcode.CLOSE, Close(1000, "").serialize())


class _Fence:
    """One tenant's fence on this router."""

    def __init__(self, address: GatewayAddress | None) -> None:
        self.address = address
        self.opened = asyncio.Event()
        self.connections: dict[Connection, FencedConnection] = {}
        self.suspension: str | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.waiting = 0
        """Clients that connect, and HTTP requests, that wait for it to open."""

    @property
    def wanted(self) -> bool:
        """Somebody wants the gateway by now."""
        return self.waiting > 0 or any(one.waiting for one in self.connections.values())


class Suspends:
    """All conversations of a router."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._fences: dict[str, _Fence] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._asleep: dict[str, float] = {}
        """Incarnations that were parked → until when they take no requests (time.monotonic)."""
        self._openers: set[asyncio.Task[None]] = set()

    # What the rest of the router asks

    async def opened(self, key: str) -> None:
        """Wait while a tenant is fenced; at most as long as the lease of its fence."""
        while (fence := self._fences.get(key)) is not None:
            fence.waiting += 1
            try:
                await fence.opened.wait()
            finally:
                fence.waiting -= 1

    async def wake(self, tenant: TenantRecord, kind: WakeKind, reason: str) -> GatewayAddress:
        """Wake a tenant for who leads the conversation: its timer is due, or it is never to sleep.

        Raises
        ------
        WakeFailed
            See there.
        """
        return await self._router.waker.address(tenant, kind, reason)

    def asleep(self, address: GatewayAddress) -> bool:
        """Tell whether this incarnation was put to sleep: whoever needs the tenant needs a new one."""
        until = self._asleep.get(address.uid)
        if until is None:
            return False
        if until > time.monotonic():
            return True
        del self._asleep[address.uid]
        return False

    async def next_wake(self, key: str) -> int | None:
        """Return when the next cron job of an awake tenant is due, ms since 1970; None: it has none.

        Raises
        ------
        ControlFailed
            It can't be asked.
        """
        address = self._router.fleet.awake(key)
        if address is None:
            raise ControlFailed("it is not awake")
        async with controlling(self._router.selector, address) as control:
            return _due(await control.call("cron.status"))

    # The steps

    async def fence(self, key: str, uid: str) -> answers.Fenced:
        """Let no new request pass to this incarnation from now on, if nothing is going on.

        Raises
        ------
        NoSuchTenant, OtherIncarnation
            See there.
        """
        async with self._turn(key):
            if (fence := self._fences.get(key)) is None:
                address = self._address(key, uid)
                if (busy := self._busy(key)) is not None:
                    self._router.metrics.suspends.labels("not_quiet").inc()
                    return self._fenced(key, busy)
                fence = self._fences[key] = _Fence(address)
                busy = await self._close(key, fence)
                if busy is not None:
                    await self._open(key, fence)
                    self._router.metrics.suspends.labels("not_quiet").inc()
                    return self._fenced(key, busy)
            self._hold(key, fence)
            return self._fenced(key, None)

    async def prepare(self, key: str, uid: str) -> answers.Prepared:
        """Ask the gateway when its next cron job is due, and whether it can be put to sleep.

        Raises
        ------
        NoSuchTenant, OtherIncarnation
            See there.
        """
        async with self._turn(key):
            address = self._address(key, uid)
            fence = self._fences.get(key)
            if fence is None:
                return answers.Prepared("busy", "the fence is open", 1000)
            if address is None:
                return answers.Prepared("busy", "no address of this gateway is known here", 1000)
            self._hold(key, fence)
            try:
                async with controlling(self._router.selector, address) as control:
                    cron = await control.call("cron.status")
                    answer = await control.call(
                        "gateway.suspend.prepare", requestId=f"openclaw-tenancy-{secrets.token_hex(8)}"
                    )
                    if answer.get("status") == "ready" and fence.wanted:
                        # It would be woken at once, which costs upstream's runtime ten seconds.
                        await control.call("gateway.suspend.resume", suspensionId=answer["suspensionId"])
                        answer = {"status": "busy", "reason": "a client wants something", "retryAfterMs": 1000}
            except ControlFailed as failed:
                self._router.metrics.suspends.labels("failed").inc()
                return answers.Prepared("busy", str(failed), 5000)
            next_wake = _due(cron)
            if answer.get("status") == "ready":
                fence.suspension = answer.get("suspensionId")
                return answers.Prepared("ready", next_wake_at_ms=next_wake)
            self._router.metrics.suspends.labels("busy").inc()
            return answers.Prepared("busy", _blockers(answer), answer.get("retryAfterMs"), next_wake)

    async def park(self, key: str, uid: str) -> answers.Parked:
        """Park the fenced clients: the gateway is about to be stopped. Without a fence nothing is parked.

        Raises
        ------
        NoSuchTenant, OtherIncarnation
            See there.
        """
        async with self._turn(key):
            self._address(key, uid)
            fence = self._fences.pop(key, None)
            if fence is None:
                return answers.Parked(0, 0)
            if fence.timer is not None:
                fence.timer.cancel()
            now = time.monotonic()
            self._asleep = {one: until for one, until in self._asleep.items() if until > now}
            self._asleep[uid] = now + PREPARED_FOR
            parked = closed = 0
            for connection, fenced in fence.connections.items():
                if await self._park_one(connection, fenced):
                    parked += 1
                else:
                    closed += 1
            fence.opened.set()
            self._router.metrics.suspends.labels("parked").inc()
            return answers.Parked(parked, closed)

    async def open(self, key: str, uid: str) -> None:
        """Take the fence away; the gateway goes on, and parked clients that want it go back to it.

        Raises
        ------
        NoSuchTenant, OtherIncarnation
            See there.
        """
        async with self._turn(key):
            address = self._address(key, uid)
            self._asleep.pop(uid, None)
            fence = self._fences.get(key)
            if fence is not None:
                await self._open(key, fence, address)

    async def evicted(self, key: str) -> None:
        """Park the quiet clients of a gateway that is being ended by somebody else: an eviction, the drain of a node.

        The others stay, and hear from their gateway that it ends. To be called as soon as that is known, before SIGTERM
        if possible; it is found out within a second otherwise.
        """
        async with self._turn(key):
            if key in self._fences:
                return
            address = self._router.fleet.awake(key)
            quiet = [
                connection
                for connection in self._router.live.of(key)
                if (pair := connection.pair) is not None
                and not pair.ending
                and (address is None or address.uid != connection.uid)
                and connection.quiet(pair)
            ]
            for connection, fenced in (await self._lift(quiet))[0].items():
                self._router.metrics.deserted.inc()
                await self._park_one(connection, fenced)

    async def close(self) -> None:
        """Open every fence: the router ends."""
        for key, fence in list(self._fences.items()):
            await self._open(key, fence)
        await asyncio.gather(*self._openers, return_exceptions=True)

    # How

    def _turn(self, key: str) -> asyncio.Lock:
        """One step at a time per tenant."""
        return self._turns.setdefault(key, asyncio.Lock())

    def _address(self, key: str, uid: str) -> GatewayAddress | None:
        fleet = self._router.fleet
        if not fleet.knows(key):
            raise _no_such(key)
        address = fleet.awake(key)
        if address is not None and address.uid != uid:
            raise answers.OtherIncarnation(f"the gateway of {key} is {address.uid}, not {uid}")
        return address

    def _fenced(self, key: str, busy: str | None) -> answers.Fenced:
        seen = self._router.activity.of(key)
        return answers.Fenced(busy is None, busy, seen.connections, seen.parked, seen.last_request)

    def _busy(self, key: str) -> str | None:
        seen = self._router.activity.of(key)
        if seen.opening:
            return f"{seen.opening} connections are being opened or HTTP requests run"
        if self._router.waker.under_way(key):
            return "it is being woken"
        if self._router.lot.coming_back(key):
            return "a parked client is coming back"
        if time.time() - seen.last_request < QUIET:
            return "somebody has just asked something"
        return None

    async def _close(self, key: str, fence: _Fence) -> str | None:
        """Take all connections out of the relay; return what keeps one from it."""
        self._router.lot.answers(key).begin()
        fence.connections, ended = await self._lift(
            [one for one in self._router.live.of(key) if one.pair is not None and not one.pair.ending]
        )
        busy = None if ended else "a message is on its way"
        if busy is None and not await probe(fence.connections.values()):
            busy = "the gateway does not answer"
        return busy or self._busy(key)

    async def _lift(self, connections: list[Connection]) -> tuple[dict[Connection, FencedConnection], bool]:
        """Lift connections out of the relay; return those that were, and whether all the others had ended."""
        selector = self._router.selector
        lifts = {one: selector.lift(one.pair) for one in connections if one.pair is not None}
        lifted: dict[Connection, FencedConnection] = {}
        ended = True
        if lifts:
            await asyncio.wait(lifts.values(), timeout=LIFTING)
        for connection, lift in lifts.items():
            if not lift.done():
                lift.cancel()
                ended = False
            elif lift.exception() is None:
                connection.lifted()
                detached = lift.result()
                machine = self._router.lot.machine(connection, detached.received)
                lifted[connection] = FencedConnection(selector, detached, machine)
        return lifted, ended

    async def _park_one(self, connection: Connection, fenced: FencedConnection) -> bool:
        await fenced.finish()
        if not fenced.parkable or connection.revoked:
            fenced.close()
            connection.gone()
            return False
        client = fenced.take_client(_GOODBYE.serialize(mask=True))
        self._router.lot.park(connection, client, fenced.machine)
        if connection.noted.complete:
            return True
        if connection.away is not None:
            connection.away.goodbye(restarting())
        return False

    def _hold(self, key: str, fence: _Fence) -> None:
        if fence.timer is not None:
            fence.timer.cancel()
        fence.timer = asyncio.get_running_loop().call_later(LEASE, self._expire, key, fence)

    def _expire(self, key: str, fence: _Fence) -> None:
        log.warning("tenant %s: its fence opens, because nobody went on with the suspend", key)
        task = asyncio.get_running_loop().create_task(self._open_expired(key, fence), name=f"open {key}")
        self._openers.add(task)
        task.add_done_callback(self._openers.discard)

    async def _open_expired(self, key: str, fence: _Fence) -> None:
        async with self._turn(key):
            if self._fences.get(key) is fence:
                await self._open(key, fence, self._router.fleet.awake(key))

    async def _open(self, key: str, fence: _Fence, address: GatewayAddress | None = None) -> None:
        if fence.timer is not None:
            fence.timer.cancel()
        if fence.suspension is not None and address is not None:
            try:
                async with controlling(self._router.selector, address) as control:
                    await control.call("gateway.suspend.resume", suspensionId=fence.suspension)
            except ControlFailed as failed:
                log.warning("tenant %s: its gateway was not resumed and does so by itself: %s", key, failed)
        try:
            while fence.connections:
                connection, fenced = fence.connections.popitem()
                joined = await fenced.reopen()
                if joined is None:
                    connection.gone()
                else:
                    connection.relayed_again(*joined)
        finally:
            # Whatever became of one connection: the others, and who connects now, wait for nobody.
            self._fences.pop(key, None)
            fence.opened.set()


def _no_such(key: str) -> answers.NoSuchTenant:
    return answers.NoSuchTenant(f"this router knows no tenant {key!r}")


def _due(cron: dict[str, object]) -> int | None:
    due = cron.get("nextWakeAtMs")
    return int(due) if isinstance(due, int | float) else None


def _blockers(answer: dict[str, object]) -> str:
    blockers = answer.get("blockers")
    if isinstance(blockers, list) and blockers:
        return ", ".join(str(one.get("message") or one.get("kind")) for one in blockers if isinstance(one, dict))
    return str(answer.get("reason") or answer.get("status"))
