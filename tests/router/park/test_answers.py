"""Answers to polls: by who asks, bounded, learned anew at each fence by one connection."""

from __future__ import annotations

import json

from tenant_router.park.answers import IDLE, MAX_ANSWERS, MAX_BYTES, USUAL, Answers, tick

READ, ADMIN = b'["operator.read"]', b'["operator.admin"]'


def test_an_answer_is_of_the_same_question_by_the_same_scopes() -> None:
    answers = Answers()
    answers.learn(READ, "cron.list", b'{"limit":50}', b'{"jobs":[]}')
    said = answers.answer(READ, "cron.list", b'{"limit":50}', 'c"1')
    assert said is not None
    assert json.loads(said) == {"type": "res", "id": 'c"1', "ok": True, "payload": {"jobs": []}}
    assert answers.answer(ADMIN, "cron.list", b'{"limit":50}', "c1") is None
    assert answers.answer(READ, "cron.list", b"{}", "c1") is None


def test_what_was_asked_in_vain_is_asked_at_the_next_fence_by_one() -> None:
    answers = Answers()
    answers.answer(READ, "sessions.catalog.list", b"{}", "c1")
    answers.begin()
    first = answers.to_ask(READ, [("cron.status", b"{}")])
    assert first == [("cron.status", b"{}"), ("sessions.catalog.list", b"{}"), *USUAL]
    assert answers.to_ask(READ, [("cron.status", b"{}"), ("cron.list", b"{}")]) == [("cron.list", b"{}")]
    assert answers.to_ask(ADMIN, []) == list(USUAL)
    answers.begin()
    assert answers.to_ask(READ, []) == [("sessions.catalog.list", b"{}"), *USUAL]


def test_they_are_bounded_and_the_oldest_go_first() -> None:
    answers = Answers()
    for number in range(MAX_ANSWERS + 5):
        answers.learn(READ, "health", b"%d" % number, b"1")
    assert answers.answer(READ, "health", b"0", "c") is None
    assert answers.answer(READ, "health", b"%d" % (MAX_ANSWERS + 4), "c")
    answers.learn(READ, "status", b"{}", b"x" * (MAX_BYTES - 10))
    answers.learn(READ, "status", b"{}", b"y" * (MAX_BYTES - 10))
    answers.learn(READ, "health", b"{}", b"z" * 100)
    assert answers.answer(READ, "status", b"{}", "c") is None
    assert answers.answer(READ, "health", b"{}", "c")


def test_what_needs_no_learning() -> None:
    for method, params in IDLE:
        said = Answers().answer(READ, method, params, "c")
        assert said is not None
        json.loads(said)
    assert json.loads(tick())["event"] == "tick"
    assert "seq" not in json.loads(tick())


def test_a_viewers_report_is_answered_with_what_it_says() -> None:
    said = Answers().answer(READ, "sessions.viewers.set", b'{"sessionKeys":["agent:main:main"]}', "c")
    assert said is not None
    assert json.loads(said)["payload"] == {"sessionKeys": ["agent:main:main"]}
    for strange in (b"{}", b"[]"):
        assert Answers().answer(READ, "sessions.viewers.set", strange, "c")
