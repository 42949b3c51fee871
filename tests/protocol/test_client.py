from __future__ import annotations

import json
from typing import Any

import pytest
import recorded

from openclaw_protocol import frames
from openclaw_protocol import rejections as r
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.client import ClientHandshake, ConnectRefused
from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.connect import parse_connect
from openclaw_protocol.device import DeviceKey, verify_device
from openclaw_protocol.frames import InvalidFrame

CHALLENGE = Challenge("nonce", 1_795_500_000_000)
CLIENT = ClientInfo(id="openclaw-tui", version="1", platform="linux", mode="ui", device_family="Linux")


def connecting(**options: Any) -> tuple[ClientHandshake, bytes]:
    handshake = ClientHandshake(CLIENT, request_id="mine", **options)
    connect = handshake.receive(CHALLENGE.event())
    assert connect is not None
    return handshake, connect


def test_it_says_what_a_server_reads() -> None:
    _, connect = connecting(
        role="node", scopes=["a"], token="t", device=DeviceKey(bytes(32)), caps=["c"], userAgent="tests"
    )
    request = parse_connect(connect)
    params = request.params
    assert request.id == "mine"
    assert params.client == CLIENT
    assert (params.role, params.scopes, params.caps, params.token) == ("node", ("a",), ("c",), "t")
    assert params.user_agent == "tests"
    verify_device(params, CHALLENGE, CHALLENGE.ts)


def test_what_is_not_given_is_not_sent() -> None:
    _, connect = connecting()
    assert set(parse_connect(connect).params.raw) == {"minProtocol", "maxProtocol", "client", "role"}


def test_the_hello_ends_it_and_events_before_it_do_not_matter() -> None:
    handshake, _ = connecting(token="t")
    assert handshake.receive(frames.event("tick", {"ts": 1})) is None
    assert handshake.receive(frames.response("another", {})) is None
    assert handshake.hello is None
    hello = json.loads(recorded.HELLO)["payload"]
    assert handshake.receive(frames.response("mine", hello)) is None
    assert handshake.hello == hello
    with pytest.raises(InvalidFrame):
        handshake.receive(frames.event("tick"))


@pytest.mark.parametrize(
    ("rejection", "not_yet", "final"),
    [
        (r.GatewayStarting(), True, False),
        (r.GatewayDraining(), True, False),
        (r.TokenMismatch(CLIENT), False, True),
        (r.TokenMissing(CLIENT), False, True),
        (r.RateLimited(1000), False, True),
        (r.ProtocolMismatch(5, 6), False, True),
        (r.DeviceIdentityRequired(), False, True),
        (r.IdentityHeaderRequired("x"), False, True),
        (r.InvalidRole(), False, False),
        (r.DeviceNonceMismatch(), False, False),
    ],
)
def test_a_refusal_tells_what_to_do(rejection: r.Rejection, not_yet: bool, final: bool) -> None:
    handshake, _ = connecting()
    with pytest.raises(ConnectRefused) as caught:
        handshake.receive(rejection.response("mine") or b"")
    assert caught.value.error == rejection.error
    assert (caught.value.is_not_yet, caught.value.is_final) == (not_yet, final)


@pytest.mark.parametrize(
    "frame", [frames.request("mine", "connect"), frames.response("mine", {"type": "hello"}), b"{}"]
)
def test_what_is_no_answer_is_refused(frame: bytes) -> None:
    handshake, _ = connecting()
    with pytest.raises(InvalidFrame):
        handshake.receive(frame)


def test_it_waits_for_the_challenge() -> None:
    with pytest.raises(InvalidFrame):
        ClientHandshake(CLIENT).receive(frames.event("tick", {"ts": 1}))
