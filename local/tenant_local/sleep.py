"""Puts one gateway to sleep in conversation with router and gateway (`tenant_router.suspend`): unnoticed, or not now."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from tenant_router.suspend.answers import NoSuchTenant, OtherIncarnation
from tenant_router.suspend.conversation import Suspends

from .life import TenantLife
from .timers import in_words, lead

log = logging.getLogger(__name__)

NOT_QUIET: Final = 1.0
"""Seconds until the conversation is tried again when clients were busy."""
LONGEST: Final = 60.0
"""Seconds, however much later a gateway says to ask again: then its turn has long ended."""
SOON: Final = 10.0
"""Seconds to the next cron job, beyond the lead of a wake, for which sleeping is not worth it."""


@dataclass(frozen=True, slots=True)
class Later:
    """It does not sleep now."""

    why: str
    seconds: float
    """When to try again."""


async def put_to_sleep(
    suspends: Suspends, life: TenantLife, runtime: str, reason: str, *, at_once: bool = False
) -> Later | None:
    """Have a gateway sleep if nothing runs on it; its clients stay connected. None: it sleeps.

    `at_once`: also when a timer is due so soon that sleeping is not worth it.
    """
    gateway = life.gateway
    if gateway is None:
        return None
    name, uid = life.name, gateway.address.uid
    stopping = False
    try:
        fenced = await suspends.fence(name, uid)
        if not fenced.quiet:
            return Later(f"its clients are busy: {fenced.busy}", NOT_QUIET)
        prepared = await suspends.prepare(name, uid)
        if prepared.status != "ready":
            later = (prepared.retry_after_ms or 1000) / 1000
            return Later(f"it is busy: {prepared.reason}", min(max(later, NOT_QUIET), LONGEST))
        due = None if prepared.next_wake_at_ms is None else prepared.next_wake_at_ms / 1000
        ready_in = life.last_wake.ready if life.last_wake is not None else None
        if not at_once and due is not None and (left := due - time.time()) < lead(runtime, ready_in) + SOON:
            return Later(f"its next timer is due at {in_words(due)}", max(left, 0.0) + NOT_QUIET)
        life.timer.keep(prepared.next_wake_at_ms)
        parked = await suspends.park(name, uid)
        stopping = True
        clients = f", {parked.parked} clients parked" if parked.parked else ""
        timer = f", next timer {in_words(due)}" if due is not None else ""
        await life.suspend(f"{reason}{clients}{timer}")
        return None
    except (NoSuchTenant, OtherIncarnation) as changed:
        return Later(str(changed), NOT_QUIET)
    finally:
        if not stopping:
            await _open(suspends, name, uid)


async def _open(suspends: Suspends, name: str, uid: str) -> None:
    try:
        await suspends.open(name, uid)
    except (NoSuchTenant, OtherIncarnation) as changed:
        log.debug("%s: %s", name, changed)
