from __future__ import annotations

from tenant_operator.idle.timers import FIRST_GUESS, LEAST, MARGIN, Timers


def test_first_guess_then_what_was_measured() -> None:
    timers = Timers()
    assert timers.ahead("openclaw") == MARGIN * FIRST_GUESS["openclaw"]
    for _ in range(50):
        timers.measured("native", 0.5)
    assert timers.ahead("native") == LEAST
    timers.measured("native", 30)
    assert timers.ahead("native") == MARGIN * 30


def test_a_runtime_nobody_knows_is_taken_for_the_slowest() -> None:
    assert Timers().ahead("other") == MARGIN * max(FIRST_GUESS.values())
