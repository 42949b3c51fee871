"""What is noted of a client's requests, and what it costs when there are too many."""

from __future__ import annotations

import json

from tenant_router.park.noted import BURST, MAX_POLLS, MAX_SUBSCRIPTIONS, Noted

PASSIVE = frozenset({"health", "cron.list"})


def asked(method: str, params: dict[str, object] | None = None) -> bytes:
    return json.dumps({"type": "req", "id": "1", "method": method, "params": params or {}}).encode()


def test_subscriptions_are_noted_and_taken_back() -> None:
    noted = Noted()
    assert noted.hear(asked("chat.send", {"message": "x" * 2000})[:512], PASSIVE) == "chat.send"
    assert noted.subscriptions is None
    noted.hear(asked("sessions.subscribe"), PASSIVE)
    noted.hear(asked("sessions.messages.subscribe", {"key": "a"}), PASSIVE)
    noted.hear(asked("sessions.messages.subscribe", {"key": "b"}), PASSIVE)
    noted.hear(asked("sessions.messages.subscribe", {"key": "a", "includeApprovals": True}), PASSIVE)
    assert noted.subscriptions is not None
    assert list(noted.subscriptions.values()) == [b"{}", b'{"key": "a", "includeApprovals": true}', b'{"key": "b"}']
    noted.hear(asked("sessions.messages.unsubscribe", {"key": "a"}), PASSIVE)
    noted.hear(asked("sessions.unsubscribe"), PASSIVE)
    assert list(noted.subscriptions.values()) == [b'{"key": "b"}']
    assert noted.complete


def test_the_last_report_of_a_viewer_counts() -> None:
    noted = Noted()
    for key in "ab":
        noted.hear(asked("sessions.viewers.set", {"keys": [key]}), PASSIVE | {"sessions.viewers.set"})
    assert noted.polls is None
    assert noted.subscriptions is not None
    assert list(noted.subscriptions.values()) == [b'{"keys": ["b"]}']


def test_polls_are_noted_with_their_parameters() -> None:
    noted = Noted()
    for number in range(MAX_POLLS + 5):
        noted.hear(asked("cron.list", {"offset": number}), PASSIVE)
    assert noted.polls is not None
    assert len(noted.polls) == MAX_POLLS
    assert noted.complete  # what is not noted wakes, but nothing is lost


def test_a_poll_that_is_numbered_anew_each_time_is_one() -> None:
    noted = Noted()
    passive = PASSIVE | {"sessions.catalog.list"}
    for number in range(MAX_POLLS + 5):
        params = {"agentId": "main", "limitPerHost": 40, "progressId": f"p-{number}", "allowPartialResults": True}
        noted.hear(asked("sessions.catalog.list", params), passive)
    noted.hear(asked("cron.list", {"limit": 50}), passive)
    assert noted.polls is not None
    assert list(noted.polls) == [
        ("sessions.catalog.list", b'{"agentId":"main","limitPerHost":40}'),
        ("cron.list", b'{"limit": 50}'),
    ]


def test_what_can_not_be_seen_is_missed() -> None:
    for unseen in (b"", asked("sessions.messages.subscribe", {"key": "a" * 600})[:512]):
        noted = Noted()
        noted.hear(unseen, PASSIVE)
        assert not noted.complete
    noted = Noted()
    for number in range(MAX_SUBSCRIPTIONS + 1):
        noted.hear(asked("sessions.messages.subscribe", {"key": str(number)}), PASSIVE)
    assert not noted.complete


def test_a_stream_of_requests_is_soon_not_looked_at() -> None:
    noted = Noted()
    heard = 0
    while not noted.exhausted():
        heard += 1
        assert heard < 2 * BURST
    assert heard >= BURST - 2
    assert not noted.complete
