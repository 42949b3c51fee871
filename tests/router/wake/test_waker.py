"""What the waker counts and says, however many wait."""

from __future__ import annotations

import asyncio
import logging

import pytest
from router_world import TestFleet

from tenant_router.fleet import Limits, TenantRecord, WakeFailed
from tenant_router.server import Router
from tenant_router.wake.waker import WakeKind

ADA = TenantRecord("ada")


@pytest.mark.parametrize("kind", ["connect", "parked", "http", "timer", "operator"])
async def test_a_wake_is_counted_by_who_asked(router: Router, kind: WakeKind) -> None:
    await router.waker.address(ADA, kind, "words that say nothing of it")
    counted = router.metrics.registry.get_sample_value("openclaw_router_wakes_by_reason_total", {"reason": kind})
    assert counted == 1


async def fails(router: Router) -> None:
    with pytest.raises(WakeFailed):
        await router.waker.address(ADA, "connect", "cli connected")


async def test_a_failure_is_logged_once_until_it_is_another_or_the_tenant_woke(
    router: Router, fleet: TestFleet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tenant_router")

    def said() -> list[str]:
        return [record.message for record in caplog.records if record.name == "tenant_router.wake.waker"]

    fleet.failure = "no such image"
    await asyncio.gather(*(fails(router) for _ in range(5)))
    for seconds in (2, 1):
        fleet.failure = f"no such image\nIt failed 3 times in a row; tried again in {seconds} s."
        await fails(router)
    assert said() == ["tenant ada: no such image"]
    fleet.failure = "no space left"
    await fails(router)
    assert said()[1:] == ["tenant ada: no space left"]
    fleet.failure = None
    await router.waker.address(ADA, "connect", "cli connected")
    await fleet.stop("ada")
    fleet.failure = "no space left"
    await fails(router)
    assert len(said()) == 3


async def test_a_limit_of_wakes_that_is_raised_lets_more_through_and_no_more_than_that(
    router: Router, fleet: TestFleet
) -> None:
    async def wake(limit: int) -> None:
        await router.waker.address(TenantRecord("ada", limits=Limits(wakes_per_hour=limit)), "connect", "cli connected")
        await fleet.stop("ada")

    await wake(1)
    with pytest.raises(WakeFailed, match=r"woken 1 times .*wakesPerHour.*possible in 3[56]\d\d s"):
        await wake(1)
    await wake(3)
    await wake(3)
    with pytest.raises(WakeFailed, match="woken 3 times"):
        await wake(3)
