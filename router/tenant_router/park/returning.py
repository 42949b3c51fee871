"""Brings a parked client back to a gateway: wake, hello in its place, its subscriptions again, its requests, relay."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from openclaw_protocol.rejections import Rejection

from ..fleet import GatewayAddress, WakeFailed
from ..leg import Leg, NotYet, Refused, Unreachable, greet
from ..live import restarting
from . import login
from .frames import text
from .hello import features_of, state_events

if TYPE_CHECKING:
    from ..server import Router
    from .lot import Lot
    from .parked import Parked

log = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds for all of it beyond one wake's timeout. A client may have given its request up by then (official ones after 30 s) and
yet gets what comes of it, as from any slow gateway; closing would lose the request."""
SUBSCRIBING = 20.0
"""Seconds for the answers to the subscriptions; upstream's gateway, just started on a busy machine, took 6."""
TRIES = 4
"""Times that subscriptions are made before one that is refused has the client connect anew: a starting gateway refuses some."""
OTHERS = 0.5
"""Seconds that a request waits for the tenant's other clients to be back, so that they hear of what it starts."""
AFTER_FAILURE = 1.0
AFTER_NOT_YET = 0.05
"""Seconds before another try, as for a client that connects."""


class Changed(Exception):
    """The new gateway is not what the client built on; it has to connect anew."""


class Unsubscribed(Exception):
    """The gateway refused a subscription, or did not answer in time."""


class StillAsleep(Exception):
    """The gateway is gone again, and the client asked for nothing that would wake it."""


async def bring_back(router: Router, lot: Lot, parked: Parked, reason: str) -> None:
    """Do it, or let the client go with 1012, after which it connects anew by itself."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(parked.connection.match.tenant.wake_timeout + PATIENCE):
            tries = 1
            while (why := await _try(router, lot, parked, reason)) is not None:
                tries += why is Unsubscribed
                if tries > TRIES:
                    raise Changed
                await asyncio.sleep(AFTER_FAILURE if why is Unsubscribed else AFTER_NOT_YET)
        outcome = "relayed"
    except StillAsleep:
        outcome = "asleep"
    except TimeoutError:
        outcome = "too_late"
    except Changed:
        outcome = "changed"
    except (Refused, Rejection):
        outcome = "refused"
    router.metrics.returned(outcome, time.monotonic() - began)
    if outcome == "relayed" or parked.sock.fileno() < 0:
        return
    parked.task = None  # this one, which ends by itself
    if outcome == "asleep" or (outcome == "too_late" and parked.machine.wanted is None):
        parked.listen()
        return
    log.info("tenant %s: a parked client has to connect anew: %s", parked.connection.match.tenant.key, outcome)
    parked.goodbye(restarting())


async def _try(router: Router, lot: Lot, parked: Parked, reason: str) -> type[Exception] | None:
    """Try once; return why it has to be tried again."""
    leg = await _leg(router, lot, parked, reason)
    try:
        await _restore(router, lot, parked, leg)
    except (OSError, Unsubscribed) as error:
        parked.machine.lost_again()
        return Unsubscribed if isinstance(error, Unsubscribed) else OSError
    return None


async def _leg(router: Router, lot: Lot, parked: Parked, reason: str) -> Leg:
    """Return a leg to the tenant's gateway, waking it only for a real request."""
    tenant = parked.connection.match.tenant
    stale: GatewayAddress | None = None
    address: GatewayAddress | None = None
    while True:
        try:
            if address is None:
                await router.suspends.opened(tenant.key)
                if parked.machine.wanted is not None:
                    address = await router.waker.address(tenant, "parked", reason, stale)
                elif (address := router.awake(tenant.key)) is None or address == stale:
                    raise StillAsleep
            async with lot.slots:
                leg = await greet(router.selector, address, *login.restore(parked.connection.login))
        except WakeFailed:  # the waker has logged why
            await asyncio.sleep(AFTER_FAILURE)
        except NotYet:
            await asyncio.sleep(AFTER_NOT_YET)
        except Unreachable:
            stale, address = address, None
            await asyncio.sleep(AFTER_NOT_YET)
        else:
            parked.connection.uid = address.uid
            return leg


async def _restore(router: Router, lot: Lot, parked: Parked, leg: Leg) -> None:
    connection, machine = parked.connection, parked.machine
    try:
        if features_of(leg.hello) != connection.features:
            raise Changed
        to_client = b"".join(map(text, state_events(leg.hello)))
        leg.hello = b""  # a hello is 16 KB, and many may wait here
        await leg.wire.send(machine.wake())
        to_client += machine.from_gateway(leg.rest)
        try:
            async with asyncio.timeout(SUBSCRIBING):
                while machine.waiting:
                    to_client += machine.from_gateway(await leg.wire.recv())
        except TimeoutError:
            raise Unsubscribed from None
        if machine.failed:
            raise Unsubscribed
        if machine.wanted is not None and (others := lot.others(connection.match.tenant.key, parked)):
            await asyncio.wait(others, timeout=OTHERS)
        kept, held = machine.reopen()
    except BaseException:
        leg.wire.close()
        raise
    lot.back(parked)
    parked.release()
    connection.relayed_again(parked.sock, leg.wire.sock, to_client + kept, held)
