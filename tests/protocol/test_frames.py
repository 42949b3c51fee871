from __future__ import annotations

import json
from typing import Any

import pytest
import recorded
from hypothesis import given
from hypothesis import strategies as st

from openclaw_protocol import frames
from openclaw_protocol.errors import ErrorShape
from openclaw_protocol.frames import Event, InvalidFrame, Request, Response, StateVersion, parse_frame

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("line", recorded.FRAMES)
def test_every_recorded_frame_is_read_and_written_the_same(line: str) -> None:
    frame = parse_frame(line)
    sent = json.loads(line)
    written = {
        Request: lambda f: frames.request(f.id, f.method, f.params),
        Response: lambda f: frames.response(f.id, f.payload),
        Event: lambda f: frames.event(f.event, f.payload, f.seq, f.state_version),
    }[type(frame)](frame)
    assert json.loads(written) == sent


def test_a_state_version_is_read() -> None:
    frame = parse_frame(
        '{"type":"event","event":"health","payload":{},"seq":3,"stateVersion":{"presence":1,"health":2}}'
    )
    assert isinstance(frame, Event)
    assert (frame.seq, frame.state_version) == (3, StateVersion(presence=1, health=2))


@given(id=TEXT, method=TEXT, params=st.none() | st.dictionaries(TEXT, JSON, max_size=4))
def test_a_request_comes_back(id: str, method: str, params: dict[str, Any] | None) -> None:
    assert parse_frame(frames.request(id, method, params)) == Request(id, method, params or {})


@given(id=TEXT, payload=JSON)
def test_a_response_comes_back(id: str, payload: Any) -> None:
    assert parse_frame(frames.response(id, payload)) == Response(id, ok=True, payload=payload)


@given(
    id=TEXT,
    code=TEXT,
    message=TEXT,
    details=JSON,
    retryable=st.none() | st.booleans(),
    after=st.none() | st.integers(0, 10**6),
)
def test_an_error_comes_back(
    id: str, code: str, message: str, details: Any, retryable: bool | None, after: int | None
) -> None:
    error = ErrorShape(code, message, details, retryable, after)
    assert parse_frame(frames.error_response(id, error)) == Response(id, ok=False, error=error)


@given(name=TEXT, payload=JSON, seq=st.none() | st.integers(0, 2**53))
def test_an_event_comes_back(name: str, payload: Any, seq: int | None) -> None:
    frame = frames.event(name, payload, seq)
    assert parse_frame(frame) == Event(name, payload, seq)
    assert (b'"seq"' in frame) >= (seq is not None)


@given(st.binary(max_size=200) | st.text(max_size=200) | JSON.map(json.dumps))
def test_whatever_comes_is_a_frame_or_an_invalid_one(data: bytes | str) -> None:
    try:
        parse_frame(data)
    except InvalidFrame as error:
        answer = json.loads(error.answer())
        assert answer["error"]["message"].startswith("invalid request frame")
        assert answer["id"] is not None


@pytest.mark.parametrize(
    ("message", "id", "text"),
    [
        # Each was sent to a real gateway after hello, which answered in these words.
        ('{"a":1}', "invalid", "must have required property 'type'; at root: unexpected property 'a'"),
        ('{"type":"req","id":"5","method":"nope","zz":1}', "5", "at root: unexpected property 'zz'"),
        ('{"type":"req","id":7,"method":"health","params":[]}', 7, "at /id: must be string"),
        ("[]", "invalid", "must be object"),
    ],
)
def test_the_answer_to_a_bad_frame_is_upstreams(message: str, id: object, text: str) -> None:
    with pytest.raises(InvalidFrame) as caught:
        parse_frame(message)
    assert json.loads(caught.value.answer()) == {
        "type": "res",
        "id": id,
        "ok": False,
        "error": {"code": "INVALID_REQUEST", "message": f"invalid request frame: {text}"},
    }


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(InvalidFrame):
        parse_frame('{"type":"event","event":"x","payload":' + "[" * 100_000)
