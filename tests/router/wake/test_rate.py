"""Wakes per hour: a sliding window for each tenant, whose limit may change, and nothing of it stays for ever."""

from __future__ import annotations

from tenant_router.wake.rate import HOUR, WakeRate


def test_so_many_starts_within_an_hour_and_then_the_oldest_must_pass() -> None:
    rate = WakeRate()
    for at in (100.0, 200.0):
        assert rate.wait("bertha", 2, at) == 0.0
        rate.count("bertha", at)
    assert rate.wait("bertha", 2, 300.0) == HOUR - 200.0
    assert rate.wait("carl", 2, 300.0) == 0.0
    assert rate.wait("bertha", 2, 100.0 + HOUR) == 0.0


def test_a_changed_limit_counts_what_was_before() -> None:
    rate = WakeRate()
    for at in (0.0, 10.0, 20.0):
        rate.count("bertha", at)
    assert rate.wait("bertha", 5, 30.0) == 0.0
    for at in (30.0, 40.0):
        rate.count("bertha", at)
    assert rate.wait("bertha", 5, 50.0) == HOUR - 50.0
    assert rate.wait("bertha", 2, 50.0) == HOUR - 20.0


def test_tenants_that_are_long_asleep_are_forgotten() -> None:
    rate = WakeRate()
    for number in range(1000):
        rate.count(f"t{number}", float(number))
    rate.count("bertha", 3 * HOUR)
    assert len(rate._starts) == 1
