"""Bounds on strangers and tenants."""

from __future__ import annotations

from tenant_router.limits import LOCKOUT, MAX_ADDRESSES, MAX_FAILURES, AuthFailures, RequestRate


def test_address_is_locked_out_after_ten_failures_and_let_in_again() -> None:
    failures = AuthFailures()
    for i in range(MAX_FAILURES):
        assert failures.locked("1.2.3.4", i) == 0
        failures.failed("1.2.3.4", i)
    assert failures.locked("1.2.3.4", 10) > LOCKOUT - 10
    assert failures.locked("5.6.7.8", 10) == 0
    assert failures.locked("1.2.3.4", 10 + LOCKOUT) == 0


def test_slow_failures_are_no_attack() -> None:
    failures = AuthFailures()
    for i in range(3 * MAX_FAILURES):
        failures.failed("1.2.3.4", i * 10.0)
    assert failures.locked("1.2.3.4", 300) == 0


def test_memory_for_addresses_is_bounded() -> None:
    failures = AuthFailures()
    for i in range(MAX_ADDRESSES + 50):
        failures.failed(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 0)
    assert len(failures._seen) == MAX_ADDRESSES


def test_requests_per_minute() -> None:
    rate = RequestRate()
    assert [rate.take("ada", 60, 0) for _ in range(60)] == [0] * 60
    assert 0 < rate.take("ada", 60, 0) <= 1
    assert rate.take("bob", 60, 0) == 0
    assert rate.take("ada", 60, 1.01) == 0
    assert rate.take("ada", None, 1.01) == 0


def test_tenants_that_asked_nothing_for_long_are_forgotten_and_others_not() -> None:
    rate = RequestRate()
    for number in range(1000):
        rate.take(f"t{number}", 60, 1000.0)
    while rate.take("ada", 2, 1050.0) == 0:
        pass
    assert rate.take("bob", 60, 1061.0) == 0
    assert set(rate._buckets) == {"ada", "bob"}
    # What is kept is kept as it was: hers is as empty as before.
    assert rate.take("ada", 2, 1061.0) > 0
    assert rate.take("ada", 2, 1081.0) == 0
