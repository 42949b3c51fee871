from __future__ import annotations

import asyncio

import pytest

from tenant_operator.queue import WorkQueue


def queue(**more: float) -> WorkQueue[str]:
    return WorkQueue(**more)


async def soon(waiting: WorkQueue[str]) -> str:
    async with asyncio.timeout(5):
        return await waiting.get()


async def test_key_is_handed_out_once_however_often_it_is_added() -> None:
    keys = queue()
    for _ in range(3):
        keys.add("a")
    assert await soon(keys) == "a"
    assert len(keys) == 0


async def test_key_added_while_in_work_comes_again_afterwards() -> None:
    keys = queue()
    keys.add("a")
    assert await soon(keys) == "a"
    keys.add("a")
    assert len(keys) == 0
    keys.done("a")
    assert await soon(keys) == "a"


async def test_urgent_keys_come_first_and_an_ordinary_one_can_become_urgent() -> None:
    keys = queue()
    for key in "abc":
        keys.add(key)
    keys.add("c", urgent=True)
    keys.add("d", urgent=True)
    assert [await soon(keys) for _ in range(4)] == ["c", "d", "a", "b"]


async def test_urgency_survives_being_added_while_in_work() -> None:
    keys = queue()
    keys.add("a")
    await soon(keys)
    keys.add("b")
    keys.add("a", urgent=True)
    keys.add("a")
    keys.done("a")
    assert await soon(keys) == "a"


async def test_delayed_key_comes_at_its_time_and_the_earliest_time_counts() -> None:
    keys = queue()
    loop = asyncio.get_running_loop()
    began = loop.time()
    keys.add_after("a", 60)
    keys.add_after("a", 0.05)
    keys.add_after("a", 30)
    assert keys.delayed == 1
    assert await soon(keys) == "a"
    assert 0.04 <= loop.time() - began < 5
    assert keys.delayed == 0


async def test_added_key_needs_no_later_time() -> None:
    keys = queue()
    keys.add_after("a", 0.01)
    keys.add("a")
    assert await soon(keys) == "a"
    keys.done("a")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await keys.get()


async def test_back_off_grows_to_its_bound_and_ends_with_success() -> None:
    keys = queue(first_backoff=1, max_backoff=10)
    pauses = [keys.failed("a") for _ in range(6)]
    for pause, expected in zip(pauses, (1, 2, 4, 8, 10, 10), strict=True):
        assert 0.8 * expected <= pause <= 1.2 * expected
    keys.forgive("a")
    assert keys.failed("a") <= 1.2
    assert keys.failed("b", at_least=7) == 7


async def test_failed_key_is_tried_again() -> None:
    keys = queue(first_backoff=0.01)
    keys.add("a")
    await soon(keys)
    keys.failed("a")
    keys.done("a")
    assert await soon(keys) == "a"


async def test_waiting_workers_are_all_woken() -> None:
    keys = queue()
    workers = [asyncio.create_task(soon(keys)) for _ in range(3)]
    await asyncio.sleep(0)
    for key in "abc":
        keys.add(key)
    assert sorted(await asyncio.gather(*workers)) == ["a", "b", "c"]


async def test_no_key_is_ever_in_two_hands() -> None:
    keys = queue()
    working: set[str] = set()
    done = 0

    async def work() -> None:
        nonlocal done
        while True:
            key = await keys.get()
            assert key not in working
            working.add(key)
            await asyncio.sleep(0)
            working.discard(key)
            keys.done(key)
            done += 1

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for number in range(500):
        keys.add(f"k{number % 7}", urgent=number % 3 == 0)
        if number % 5 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while len(keys) or keys.working:
            await asyncio.sleep(0.001)
    for worker in workers:
        worker.cancel()
    outcomes = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in outcomes)
    assert done >= 7
