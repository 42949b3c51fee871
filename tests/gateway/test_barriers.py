"""Pings that say how far a client has read."""

from __future__ import annotations

import pytest

from tenant_gateway.server import barriers
from tenant_gateway.server.barriers import Barriers


async def test_a_pong_answers_the_pings_before_it_too() -> None:
    one = Barriers()
    (_, first), (second, read), (_, third) = one.ping(), one.ping(), one.ping()
    for strange in (b"", b"x", b"0"):
        one.ponged(strange)
    assert not first.done()
    one.ponged(second)
    assert (first.done(), read.done(), third.done()) == (True, True, False)
    one.ponged(b"9" * 125)
    assert third.done()


async def test_nobody_waits_for_a_client_that_is_gone() -> None:
    one = Barriers()
    _, read = one.ping()
    read.cancel()
    _, other = one.ping()
    one.give_up()
    assert other.done()


async def test_who_does_not_answer_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Barriers()
    _, read = one.ping()
    monkeypatch.setattr(barriers, "PATIENCE", -1.0)  # it has been waited for
    payload, next_read = one.ping()
    assert (read.done(), next_read.done()) == (False, True)
    monkeypatch.undo()
    one.ponged(payload)
    assert not one.ping()[1].done()
