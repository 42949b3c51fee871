from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tenant_operator.cache.records import PodRecord
from tenant_operator.idle.decide import INSIST, Policy, decide, idle_for
from tenant_operator.idle.routers import Activity, Report, Seen
from tenant_operator.life import Life

NOW = 10_000.0
POLICY = Policy("Auto", idle_timeout=900, wake_timeout=60, runtime="native")


def pod(**changes: Any) -> PodRecord:
    made = PodRecord(
        "ns", "p", "u", 1, "ann", component="gateway", ip="1.2.3.4", phase="Running", ready=True, terminating=False,
        created=NOW - 2000, ready_since=NOW - 2000, trouble=None,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def action(
    policy: Policy = POLICY, life: Life | None = None, one: PodRecord | None = None, seen: Seen | None = None
) -> str:
    return decide(policy, life or Life(scaled_up=NOW - 2000), one, "trouble", seen, NOW).action


def test_idle_everywhere_past_its_timeout_is_asked() -> None:
    assert action(one=pod(), seen=Seen(last_request=NOW - 901)) == "ask"
    assert action(one=pod(), seen=Seen(last_request=NOW - 899)) == "stay"


def test_connected_clients_that_ask_for_nothing_keep_nobody_awake() -> None:
    assert action(one=pod(), seen=Seen(connections=3, last_seen=NOW - 1000)) == "ask"


@pytest.mark.parametrize(
    "seen",
    [
        None,  # not all routers answer
        Seen(opening=1),
        Seen(waking=True),
        Seen(last_seen=NOW - 10),
    ],
)
def test_unsure_or_wanted_stays_awake(seen: Seen | None) -> None:
    assert action(one=pod(), seen=seen) == "stay"


def test_a_wake_counts_as_a_wish() -> None:
    assert action(one=pod(ready_since=NOW - 10), seen=Seen()) == "stay"


def test_busy_is_asked_again_later_only() -> None:
    assert action(life=Life(ask_again=NOW + 1), one=pod(), seen=Seen()) == "stay"
    assert action(life=Life(suspending=True), one=pod(), seen=Seen()) == "stay"


def test_always_on_is_never_asked() -> None:
    assert action(replace(POLICY, power="AlwaysOn"), one=pod(), seen=Seen()) == "stay"


def test_suspended_is_asked_then_insisted_on() -> None:
    suspended = replace(POLICY, power="Suspended")
    assert action(suspended, Life(suspend_since=NOW - 1), pod(), Seen(opening=1)) == "ask"
    assert action(suspended, Life(suspend_since=NOW - INSIST), pod(), Seen(opening=1)) == "stop"
    assert action(suspended, Life(suspend_since=NOW), None, None) == "stop"
    assert action(replace(suspended, routed=False), Life(suspend_since=NOW), pod(), None) == "stop"


def test_wake_that_does_not_succeed_is_given_up_when_nobody_waits() -> None:
    life = Life(scaled_up=NOW - 61)
    assert action(life=life, one=None, seen=Seen()) == "stop"
    assert action(life=life, one=pod(ready=False), seen=Seen(waking=True)) == "stay"
    assert action(life=Life(scaled_up=NOW - 30), one=None, seen=Seen()) == "stay"


def test_activity_is_summed_up_over_replicas() -> None:
    one = Report(tenants={"a": Seen(connections=1, parked=1, last_request=5, last_seen=7)})
    two = Report(tenants={"a": Seen(connections=2, opening=1, last_request=9, waking=True)})
    assert Activity([], [one, two]).of("a") == Seen(3, 1, 1, 9, 7, True)
    assert Activity([], [one]).of("b") == Seen()


def test_idle_for_counts_from_the_last_of_everything() -> None:
    assert idle_for(Seen(last_request=5, last_seen=7), awake_since=3, now=10) == 3
    assert idle_for(Seen(), awake_since=12, now=10) == 0
