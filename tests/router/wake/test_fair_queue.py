"""Order of wakes between plans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenant_router.wake.fair_queue import FairQueue, QueueFull


def drain(queue: FairQueue[str]) -> list[str]:
    taken = []
    while (item := queue.pop()) is not None:
        taken.append(item)
    return taken


def test_one_plan_is_first_come_first_served() -> None:
    queue: FairQueue[str] = FairQueue(10)
    for name in "abc":
        queue.push(name, "standard", 1)
    assert drain(queue) == ["a", "b", "c"]


def test_a_crowd_of_one_plan_does_not_hold_up_another() -> None:
    queue: FairQueue[str] = FairQueue(100)
    for i in range(50):
        queue.push(f"free{i}", "free", 1)
    queue.push("paid", "paid", 1)
    assert drain(queue).index("paid") <= 1


def test_weight_gives_turns() -> None:
    queue: FairQueue[str] = FairQueue(100)
    for i in range(12):
        queue.push(f"free{i}", "free", 1)
        queue.push(f"paid{i}", "paid", 3)
    first = drain(queue)[:8]
    assert sum(name.startswith("paid") for name in first) == 6


def test_bound() -> None:
    queue: FairQueue[str] = FairQueue(1)
    queue.push("a", "p", 1)
    with pytest.raises(QueueFull):
        queue.push("b", "p", 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=40))
def test_nothing_is_lost_or_served_twice(items: list[tuple[str, int, bool]]) -> None:
    queue: FairQueue[int] = FairQueue(100)
    wanted = []
    for number, (plan, weight, removed) in enumerate(items):
        queue.push(number, plan, weight)
        if removed:
            assert queue.remove(number)
        else:
            wanted.append(number)
    taken = []
    while (item := queue.pop()) is not None:
        taken.append(item)
    assert sorted(taken) == wanted
    assert len(queue) == 0
