"""The follower against the library's parser: however a stream is cut, both see the same messages end at the same places."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tenant_router.relay.follow import LOOK, Follower, request_method

LENGTHS = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 128, 65535, 65536, 70000]))
CONTROL = st.sampled_from([Opcode.PING, Opcode.PONG])


@dataclass
class Parsed:
    """One frame as the library reads it."""

    frame: Frame
    start: int
    end: int


def reference(stream: bytes, masked: bool) -> list[Parsed]:
    reader = StreamReader()
    reader.feed_data(stream)
    reader.feed_eof()
    parsed: list[Parsed] = []
    at = 0
    while at < len(stream):
        coroutine = Frame.parse(reader.read_exact, mask=masked)
        try:
            next(coroutine)
        except StopIteration as done:
            frame = done.value
        else:
            raise AssertionError("the generated stream is not whole")
        size = len(frame.serialize(mask=masked))
        parsed.append(Parsed(frame, at, at + size))
        at += size
    return parsed


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A valid stream of one direction: texts, binaries, fragmented messages with control frames between, maybe a close."""
    masked = draw(st.booleans())
    frames: list[Frame] = []
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.booleans()):
            frames.append(Frame(draw(CONTROL), bytes(draw(st.integers(0, 125)))))
        parts = draw(st.integers(1, 3))
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        for part in range(parts):
            # The payload looks like frame heads, so that a follower out of step finds plausible ones.
            payload = b"\x81\x05" * (draw(LENGTHS) // 2) + b"\x81" * draw(st.integers(0, 1))
            frames.append(Frame(Opcode.CONT if part else opcode, payload, fin=part == parts - 1))
            if draw(st.booleans()):
                frames.append(Frame(draw(CONTROL), b"ctl"))
    if draw(st.booleans()):
        frames.append(Frame(Opcode.CLOSE, b"\x03\xe8"))
    return b"".join(frame.serialize(mask=masked) for frame in frames), masked


def cut(stream: bytes, draw: st.DataObject) -> list[bytes]:
    places = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    bounds = [0, *places, len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


def open_message_at(frames: list[Parsed], offset: int) -> bool:
    """Whether a data message has begun before this frame boundary and not ended."""
    inside = False
    for parsed in frames:
        if parsed.end <= offset and parsed.frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            inside = not parsed.frame.fin
    return inside


def boundaries(frames: list[Parsed]) -> list[int]:
    return [offset for offset in (0, *(p.end for p in frames)) if not open_message_at(frames, offset)]


@given(streams(), st.data())
def test_any_cut_gives_the_boundaries_of_the_library(case: tuple[bytes, bool], data: st.DataObject) -> None:
    stream, masked = case
    frames = reference(stream, masked)
    ends = set(boundaries(frames))
    follower, offset = Follower(), 0
    for chunk in cut(stream, data):
        # What lies behind `end` in the shared buffer belongs to somebody else and must not matter.
        follower.advance(bytearray(chunk + b"\x81\x02xx"), len(chunk))
        offset += len(chunk)
        assert follower.boundary == (offset in ends)
        if follower.left > 0:
            assert offset + follower.left in {p.end for p in frames}
    assert follower.boundary
    assert follower.closed == any(p.frame.opcode is Opcode.CLOSE for p in frames)


@given(streams(), st.data())
def test_the_first_boundary_in_a_chunk_is_found(case: tuple[bytes, bool], data: st.DataObject) -> None:
    stream, masked = case
    ends = boundaries(reference(stream, masked))
    follower, offset = Follower(), 0
    for piece in cut(stream, data):
        chunk = piece
        while chunk:
            inside = not follower.boundary
            taken = follower.advance_to_boundary(chunk, len(chunk))
            expected = next((end for end in ends if offset <= end <= offset + len(chunk)), None)
            if not inside:
                assert taken == 0
                follower.advance(chunk[:1], 1)
                taken = 1
            elif expected is None:
                assert taken == -1
                taken = len(chunk)
            else:
                assert taken == expected - offset
                assert follower.boundary
            offset += taken
            chunk = chunk[taken:]


@given(streams(), st.data())
def test_looking_changes_nothing_and_sees_every_message_that_starts(
    case: tuple[bytes, bool], data: st.DataObject
) -> None:
    stream, masked = case
    frames = reference(stream, masked)
    plain, looking, seen = Follower(), Follower(), []
    for chunk in cut(stream, data):
        plain.advance(chunk, len(chunk))
        seen += list(looking.advance_and_look(chunk, len(chunk)))
        assert (plain.left, plain.open, plain.closed) == (looking.left, looking.open, looking.closed)
    texts = [p.frame.data for p in frames if p.frame.opcode in (Opcode.TEXT, Opcode.BINARY)]
    assert len(seen) == len(texts)
    assert all(bytes(text).startswith(beginning) for text, beginning in zip(texts, seen, strict=True))


@given(st.text(max_size=300), st.booleans())
def test_a_message_in_one_piece_shows_its_first_bytes(text: str, masked: bool) -> None:
    payload = text.encode()
    wire = Frame(Opcode.TEXT, payload).serialize(mask=masked)
    assert list(Follower().advance_and_look(wire, len(wire))) == [payload[:LOOK]]


@given(st.binary(max_size=200), st.data())
def test_no_bytes_make_it_fail(stream: bytes, data: st.DataObject) -> None:
    for method in ("advance", "advance_to_boundary", "advance_and_look"):
        follower = Follower()
        for chunk in cut(stream, data):
            result = getattr(follower, method)(chunk, len(chunk))
            if method == "advance_and_look":
                list(result)


def test_the_method_of_a_request_is_in_its_beginning() -> None:
    request = {
        "type": "req",
        "id": "1:cdaf1dde-c0cd-458f-a3a1-43c707dc36c5",
        "method": "chat.send",
        "params": {"message": "x" * 500},
    }
    for separators in ((",", ":"), (", ", ": ")):
        assert request_method(json.dumps(request, separators=separators).encode()[:LOOK]) == "chat.send"
    assert request_method(b'{"type":"req","id":"' + b"x" * 200) is None
    assert request_method(b"") is None
