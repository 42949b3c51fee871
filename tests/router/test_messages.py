"""Whole messages out of any split of the bytes, and the rest untouched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Side

from tenant_router.messages import Closed, MessageReader


def masked(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


@given(st.binary(max_size=400), st.binary(max_size=200), st.lists(st.integers(1, 600), max_size=8), st.booleans())
def test_any_split_gives_the_message_and_the_rest(
    first: bytes, behind: bytes, cuts: list[int], fragmented: bool
) -> None:
    if fragmented:
        half = len(first) // 2
        stream = (
            masked(Opcode.BINARY, first[:half], fin=False)
            + masked(Opcode.PING, b"p")
            + masked(Opcode.CONT, first[half:])
        )
    else:
        stream = masked(Opcode.BINARY, first)
    stream += masked(Opcode.BINARY, behind)
    reader, message, at = MessageReader(Side.SERVER, 65536), None, 0
    for cut in [*cuts, len(stream)]:
        reader.feed(stream[at : at + cut])
        at += cut
        message = reader.next_message()
        if message is not None:
            break
    assert message == first
    rest = reader.rest() + stream[at:]
    assert rest == masked(Opcode.BINARY, behind)[: len(rest)] or len(rest) == len(masked(Opcode.BINARY, behind))


def test_ping_is_answered_before_the_message() -> None:
    reader = MessageReader(Side.SERVER, 65536, masked(Opcode.PING, b"hello"))
    assert reader.next_message() is None
    assert reader.to_send() == Frame(Opcode.PONG, b"hello").serialize(mask=False)


def test_too_large_is_refused_before_it_is_there() -> None:
    reader = MessageReader(Side.SERVER, 1000, masked(Opcode.TEXT, b"x" * 5000)[:14])
    with pytest.raises(Closed):
        reader.next_message()
    assert (1009).to_bytes(2, "big") in reader.to_send()


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.TEXT, b"unmasked").serialize(mask=False),
        b"\xf1" + masked(Opcode.TEXT, b"reserved bits")[1:],
        b"\x83" + masked(Opcode.TEXT, b"reserved opcode")[1:],
        masked(Opcode.CONT, b"continues nothing"),
        masked(Opcode.CLOSE, Close(1000, "").serialize()),
    ],
)
def test_broken_frames_close(frame: bytes) -> None:
    reader = MessageReader(Side.SERVER, 65536, frame)
    with pytest.raises(Closed):
        reader.next_message()
    assert reader.to_send()[0] == 0x88
