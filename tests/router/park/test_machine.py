"""A connection that is not relayed: what passes, what waits, what is answered, and what wakes."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any

from websockets.frames import Close, Frame, Opcode

from tenant_router.park.answers import Answers
from tenant_router.park.frames import PONG, Cut, Cutter
from tenant_router.park.machine import OWN, Machine, Phase
from tenant_router.park.noted import Noted

PASSIVE = frozenset(
    {"health", "status", "system-presence", "cron.list", "sessions.viewers.set", "sessions.catalog.list"}
)
SCOPES = b'["operator.read"]'


def text(value: Any, mask: bool = False) -> bytes:
    return Frame(Opcode.TEXT, json.dumps(value, separators=(",", ":")).encode()).serialize(mask=mask)


def request(method: str, params: Any = None, name: str = "c1") -> bytes:
    return text({"type": "req", "id": name, "method": method, "params": params or {}}, mask=True)


def event(name: str, seq: int | None = None, payload: Any = None) -> bytes:
    return text({"type": "event", "event": name, "payload": payload, **({} if seq is None else {"seq": seq})})


def response(name: str, payload: Any) -> bytes:
    return text({"type": "res", "id": name, "ok": True, "payload": payload})


def read(wire: bytes) -> list[Any]:
    return [json.loads(cut.payload) for cut in Cutter(1 << 20).feed(wire) if isinstance(cut, Cut) and cut.opcode == 1]


def machine(received: bytes = b"", *asked: tuple[str, bytes], more: Set[str] = frozenset()) -> Machine:
    noted = Noted()
    for method, params in asked:
        noted.note(method, params, PASSIVE)
    return Machine(noted, SCOPES, lambda: PASSIVE | more, Answers(), received)


def parked(*asked: tuple[str, bytes]) -> Machine:
    one = machine(b"", *asked)
    one.park()
    return one


def test_while_parking_the_client_hears_all_but_the_sleep() -> None:
    one = machine()
    chat, pong = event("chat", 7), Frame(Opcode.PONG, b"client's").serialize(mask=False)
    assert one.from_gateway(chat + pong) == chat + pong
    assert (
        one.from_gateway(event("shutdown") + Frame(Opcode.CLOSE, Close(1012, "").serialize()).serialize(mask=False))
        == b""
    )
    assert one.shutdown
    assert one.phase is Phase.PARKING


def test_a_close_that_is_about_this_client_reaches_it() -> None:
    one = machine()
    told = Frame(Opcode.CLOSE, Close(4001, "gateway auth changed").serialize()).serialize(mask=False)
    assert one.from_gateway(told) == told
    assert one.phase is Phase.CLOSED


def test_the_barrier_is_seen_and_polls_are_learned() -> None:
    one = machine(b"", ("cron.list", b'{"limit":50}'))
    (ping,) = Cutter(100).feed(one.barrier())
    assert isinstance(ping, Cut)
    asked = read(one.ask_polls())
    assert [frame["method"] for frame in asked] == ["cron.list", "health", "status", "system-presence"]
    assert one.from_gateway(Frame(Opcode.PONG, ping.payload).serialize(mask=False)) == b""
    assert one.ponged == one.barriers
    answers = b"".join(response(frame["id"], {"of": frame["method"]}) for frame in asked)
    assert one.from_gateway(answers) == b""
    assert not one.waiting
    one.park()
    assert read(one.from_client(request("cron.list", {"limit": 50}, "c7"))) == [
        {"type": "res", "id": "c7", "ok": True, "payload": {"of": "cron.list"}}
    ]
    assert one.wanted is None


def test_a_poll_that_is_numbered_anew_each_time_is_learned_without_its_number() -> None:
    numbered = {"agentId": "main", "progressId": "p-1", "allowPartialResults": True}
    one = machine(b"", ("sessions.catalog.list", json.dumps(numbered).encode()))
    (catalogs, *_) = read(one.ask_polls())
    # With the client's own number the gateway would send it events that it never asked for.
    assert (catalogs["method"], catalogs["params"]) == ("sessions.catalog.list", {"agentId": "main"})
    one.from_gateway(response(catalogs["id"], {"catalogs": []}))
    one.park()
    for number in (2, 3):
        asked = request("sessions.catalog.list", {**numbered, "progressId": f"p-{number}"}, f"c{number}")
        assert read(one.from_client(asked)) == [
            {"type": "res", "id": f"c{number}", "ok": True, "payload": {"catalogs": []}}
        ]
        assert one.wanted is None
    one.from_client(request("sessions.catalog.list", {**numbered, "search": "x"}, "c4"))
    assert one.wanted == "sessions.catalog.list"


def test_a_gateway_that_goes_on_after_all_leaves_no_gap() -> None:
    waits = request("chat.send")
    one = machine(waits)
    assert one.from_gateway(event("tick", 3)) == event("tick", 3)
    later = event("gateway.suspension", 4, {"phase": "prepared"}) + event("health", 5)
    assert one.from_gateway(later) == b""
    part = event("chat", 7)[:10]
    assert one.from_gateway(event("gateway.suspension", 6, {"phase": "accepting"}) + part) == b""
    to_client, to_gateway = one.reopen()
    assert [frame.get("seq") for frame in read(to_client[: -len(part)])] == [4, 5, 6]
    assert to_client.endswith(part)
    assert to_gateway == waits


def test_answers_that_were_on_their_way_still_come() -> None:
    one = machine()
    assert one.from_gateway(event("gateway.suspension", 4, {"phase": "prepared"}) + response("c1", 1)) == b""
    frames = read(one.park())
    assert [frame.get("event", frame["type"]) for frame in frames] == ["res", "tick"]
    assert "seq" not in frames[1]


def test_a_request_that_waited_at_the_fence_wakes() -> None:
    waits = request("chat.history")
    one = machine(waits)
    one.park()
    assert one.wanted == "chat.history"
    assert one.held == waits


def test_pings_are_answered_and_real_requests_wait_in_order() -> None:
    one = parked()
    ping = Frame(Opcode.PING, b"there?").serialize(mask=True)
    (pong,) = Cutter(100).feed(one.from_client(ping))
    assert isinstance(pong, Cut)
    assert (pong.opcode, pong.payload) == (PONG, b"there?")
    first, second = request("chat.send", {"message": "hi"}), request("chat.history", name="c2")
    assert one.from_client(first[:9]) == b""
    assert one.wanted is None
    assert one.from_client(first[9:] + second[:5]) == b""
    assert one.wanted == "chat.send"
    one.from_client(second[5:])
    assert one.held == first + second


def test_a_large_request_wakes_before_it_is_all_there() -> None:
    one = parked()
    large = request("chat.send", {"message": "x" * 100_000})
    one.from_client(large[:2000])
    assert one.wanted
    one.from_client(large[2000:])
    assert one.held == large


def test_a_close_is_answered() -> None:
    one = parked()
    closing = Frame(Opcode.CLOSE, Close(1000, "bye").serialize()).serialize(mask=True)
    (answer,) = Cutter(100).feed(one.from_client(closing))
    assert isinstance(answer, Cut)
    assert answer.payload == Close(1000, "bye").serialize()
    assert one.phase is Phase.CLOSED


def test_an_unknown_poll_wakes() -> None:
    one = parked()
    assert one.from_client(request("health")) == b""
    assert one.wanted == "health"


def test_which_methods_are_passive_is_asked_anew_each_time() -> None:
    more: set[str] = set()
    one = machine(more=more)
    one.answers.learn(SCOPES, "sessions.list", b"{}", b'{"sessions":[]}')
    one.park()
    more.add("sessions.list")
    assert read(one.from_client(request("sessions.list"))) == [
        {"type": "res", "id": "c1", "ok": True, "payload": {"sessions": []}}
    ]
    more.clear()
    one.from_client(request("sessions.list"))
    assert one.wanted == "sessions.list"


def test_polls_are_answered_by_who_asks() -> None:
    one = parked()
    one.answers.learn(b"[]", "health", b"{}", b"1")
    one.from_client(request("health"))
    assert one.wanted == "health"


def test_subscriptions_are_made_again_under_names_of_ours() -> None:
    one = parked(("sessions.subscribe", b"{}"), ("sessions.messages.subscribe", b'{"key":"agent:main:main"}'))
    asked = read(one.wake())
    assert [(frame["method"], frame["params"]) for frame in asked] == [
        ("sessions.subscribe", {}),
        ("sessions.messages.subscribe", {"key": "agent:main:main"}),
    ]
    assert all(frame["id"].startswith(OWN) for frame in asked)
    presence = event("presence", 1)
    assert one.from_gateway(presence + response(asked[0]["id"], {})) == presence
    assert one.waiting
    assert one.from_gateway(response(asked[1]["id"], {})) == b""
    assert not one.waiting
    assert not one.failed


def test_a_subscription_that_fails_is_noticed() -> None:
    one = parked(("sessions.subscribe", b"{}"))
    (asked,) = read(one.wake())
    one.from_gateway(text({"type": "res", "id": asked["id"], "ok": False, "error": {"code": "X", "message": "no"}}))
    assert one.failed
