"""The conversation before a sleep: every router fences, one asks the gateway, every router parks; or all open again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from .routers import Address, Routers, StepRefused, Unsure

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ready:
    """The gateway may be stopped now: nothing runs, no request passes, clients are parked."""

    parked: int
    closed: int
    next_wake: float
    """Seconds since 1970; 0: it has no timer."""


@dataclass(frozen=True, slots=True)
class Busy:
    """It stays awake; all fences are open again."""

    reason: str
    """One CamelCase word."""
    message: str
    retry_after: float
    """Seconds that the gateway asks to wait; 0: it does not say."""


async def converse(
    routers: Routers, addresses: list[Address], key: str, uid: str, *, latest_wake: float
) -> Ready | Busy:
    """Ask for one tenant's sleep.

    Parameters
    ----------
    latest_wake
        A timer before this time (seconds since 1970) is not worth sleeping for.
    """
    try:
        quiet = await _fence(routers, addresses, key, uid)
        if isinstance(quiet, Busy):
            await _open(routers, addresses, key, uid)
            return quiet
        # The replica with the most connections surely knows the gateway's address.
        asked = max(quiet, key=lambda address: quiet[address])
        prepared = await routers.step(asked, key, "prepare", uid)
        next_wake = float(prepared.get("nextWakeAtMs") or 0) / 1000
        verdict = _refusal(prepared, next_wake, latest_wake)
        if verdict is not None:
            await _open(routers, addresses, key, uid)
            return verdict
    except (Unsure, StepRefused) as error:
        await _open(routers, addresses, key, uid)
        return Busy("Unsure", f"it stays awake, because not all routers agree: {error}", 0.0)
    except asyncio.CancelledError:
        await _open(routers, addresses, key, uid)
        raise
    return await _park(routers, addresses, key, uid, next_wake)


async def reopen(routers: Routers, addresses: list[Address], key: str, uid: str) -> None:
    """Take everything back after a conversation that ended in `Ready`, because the gateway can't be stopped."""
    await _open(routers, addresses, key, uid)


def _refusal(prepared: dict[str, Any], next_wake: float, latest_wake: float) -> Busy | None:
    if prepared.get("status") != "ready":
        retry = float(prepared.get("retryAfterMs") or 0) / 1000
        return Busy("Busy", f"its gateway is busy: {prepared.get('reason') or 'it does not say with what'}", retry)
    if next_wake and next_wake < latest_wake:
        return Busy("TimerSoon", "its own schedule wants it in a moment", 0.0)
    return None


async def _fence(routers: Routers, addresses: list[Address], key: str, uid: str) -> dict[Address, int] | Busy:
    answers = await asyncio.gather(
        *(routers.step(address, key, "fence", uid) for address in addresses), return_exceptions=True
    )
    quiet: dict[Address, int] = {}
    for address, answer in zip(addresses, answers, strict=True):
        if isinstance(answer, Unsure | StepRefused):
            return Busy("Unsure", f"it stays awake, because not all routers agree: {answer}", 0.0)
        if isinstance(answer, BaseException):
            raise answer
        if not answer.get("quiet"):
            return Busy("Active", f"somebody is talking to it: {answer.get('busy') or 'a request is on its way'}", 0.0)
        quiet[address] = int(answer.get("connections") or 0)
    return quiet


async def _park(routers: Routers, addresses: list[Address], key: str, uid: str, next_wake: float) -> Ready:
    """Park everywhere. A replica that fails now has lost its clients already, or its fence opens by itself."""
    answers = await asyncio.gather(
        *(routers.step(address, key, "park", uid) for address in addresses), return_exceptions=True
    )
    parked = closed = 0
    for address, answer in zip(addresses, answers, strict=True):
        if isinstance(answer, BaseException):
            log.warning("tenant %s: router %s did not park its clients: %s", key, address[0], answer)
            continue
        parked += int(answer.get("parked") or 0)
        closed += int(answer.get("closed") or 0)
    return Ready(parked, closed, next_wake)


async def _open(routers: Routers, addresses: list[Address], key: str, uid: str) -> None:
    answers = await asyncio.gather(
        *(routers.step(address, key, "open", uid) for address in addresses), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException):
            log.info("tenant %s: a fence opens by itself: %s", key, answer)
