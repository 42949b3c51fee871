from __future__ import annotations

import time
import uuid

import pytest
import recorded

from openclaw_protocol.challenge import Challenge
from openclaw_protocol.frames import Event, InvalidFrame, parse_frame


def test_a_challenge_is_fresh_and_comes_back() -> None:
    before = time.time_ns() // 1_000_000
    first, second = Challenge.new(), Challenge.new()
    assert first.nonce != second.nonce
    assert uuid.UUID(first.nonce).version == 4
    assert before <= first.ts <= second.ts
    assert Challenge.parse(first.event()) == first


def test_it_is_what_upstream_sends() -> None:
    theirs = parse_frame(recorded.CHALLENGE)
    assert isinstance(theirs, Event)
    ours = parse_frame(Challenge(theirs.payload["nonce"], theirs.payload["ts"]).event())
    assert isinstance(ours, Event)
    # `capabilities` names what the sender can do; a router cannot speak for a gateway that sleeps.
    theirs.payload.pop("capabilities")
    assert ours == theirs


def test_upstreams_is_read() -> None:
    assert Challenge.parse(recorded.CHALLENGE) == Challenge("57321cbc-e7f6-41b4-9359-fa4ddcdf87fe", 1795489410853)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        '{"type":"res","id":"1","ok":true}',
        '{"type":"event","event":"tick","payload":{"ts":1}}',
        '{"type":"event","event":"connect.challenge"}',
        '{"type":"event","event":"connect.challenge","payload":{"nonce":"","ts":1}}',
        '{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":-1}}',
        '{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1.5}}',
        '{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":true}}',
    ],
)
def test_anything_else_is_none(frame: str) -> None:
    with pytest.raises(InvalidFrame):
        Challenge.parse(frame)
