from __future__ import annotations

import json

import pytest
import recorded

from openclaw_protocol import frames
from openclaw_protocol import rejections as r
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.client import ClientHandshake
from openclaw_protocol.connect import MAX_CONNECT_BYTES
from openclaw_protocol.device import DeviceKey
from openclaw_protocol.server import MAX_PENDING_FRAMES, ServerHandshake

NOW = 1_795_511_085_532
CHALLENGE = Challenge("41dedfe8-b790-4eb9-a0b5-c83422836fd0", NOW)


def test_both_sides_understand_each_other() -> None:
    server = ServerHandshake()
    client = ClientHandshake(
        {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        scopes=["operator.read"],
        token="t",
        device=DeviceKey(bytes(32)),
    )
    connect = client.receive(server.start())
    assert connect is not None
    request = server.receive(connect, server.challenge.ts)
    assert request is not None and request.params.token == "t"
    client.receive(server.accept({"type": "hello-ok", "protocol": 4}))
    assert client.hello == {"type": "hello-ok", "protocol": 4}


def test_each_has_its_own_challenge() -> None:
    assert ServerHandshake().challenge != ServerHandshake().challenge


def test_the_tui_is_let_in_once_and_at_its_time() -> None:
    assert ServerHandshake(CHALLENGE).receive(recorded.CONNECT_TUI, NOW) is not None
    with pytest.raises(r.DeviceNonceMismatch):
        ServerHandshake().receive(recorded.CONNECT_TUI, NOW)
    with pytest.raises(r.DeviceSignatureExpired):
        ServerHandshake(CHALLENGE).receive(recorded.CONNECT_TUI, NOW + 121_000)


def test_a_refusal_answers_the_request() -> None:
    server = ServerHandshake()
    with pytest.raises(r.DeviceNonceMismatch) as caught:
        server.receive(recorded.CONNECT_TUI, NOW)
    request_id = json.loads(recorded.CONNECT_TUI)["id"]
    assert json.loads(caught.value.response() or b"")["id"] == request_id
    assert json.loads(server.refuse(r.GatewayStarting()) or b"")["id"] == request_id


def test_there_is_nothing_to_answer_without_a_request() -> None:
    server = ServerHandshake()
    with pytest.raises(r.NotJson) as caught:
        server.receive("hello", NOW)
    assert server.refuse(caught.value) is None
    assert server.refuse(r.GatewayStarting()) is None


def test_what_comes_behind_connect_is_kept_within_limits() -> None:
    server = ServerHandshake(CHALLENGE)
    server.receive(recorded.CONNECT_TUI, NOW)
    sent = [frames.request(str(n), "health") for n in range(MAX_PENDING_FRAMES)]
    for frame in sent:
        assert server.receive(frame, NOW) is None
    assert server.pending == sent
    with pytest.raises(r.TooManyPendingFrames):
        server.receive(sent[0], NOW)


@pytest.mark.parametrize("frame", [b"x" * (MAX_CONNECT_BYTES + 1), "\u00e9" * (MAX_CONNECT_BYTES // 2 + 1)])
def test_what_comes_behind_connect_is_small(frame: bytes | str) -> None:
    server = ServerHandshake(CHALLENGE)
    server.receive(recorded.CONNECT_TUI, NOW)
    with pytest.raises(r.FrameTooLarge):
        server.receive(frame, NOW)
