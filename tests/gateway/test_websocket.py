"""Our frames against the `websockets` library as the other end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from tenant_gateway.server.websocket import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    FrameReader,
    ProtocolError,
    close_frame,
    frame,
    parse_close,
    unmask,
)

LIMIT = 1 << 20


def peer() -> Protocol:
    return Protocol(Side.CLIENT, max_size=None)


def read_all(reader: FrameReader, data: bytes, piece: int) -> list[tuple[int, bytes]]:
    found = []
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
        while (message := reader.next()) is not None:
            found.append(message)
    return found


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 70))
def test_reads_what_the_library_sends_however_it_is_cut(messages: list[bytes], piece: int) -> None:
    protocol = peer()
    for message in messages:
        protocol.send_binary(message)
    data = b"".join(protocol.data_to_send())
    assert read_all(FrameReader(LIMIT), data, piece) == [(BINARY, message) for message in messages]


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 200_000])
def test_sizes_both_ways(size: int) -> None:
    payload = b"x" * size
    protocol = peer()
    protocol.send_text(payload)
    assert read_all(FrameReader(LIMIT), b"".join(protocol.data_to_send()), 1 << 20) == [(TEXT, payload)]
    protocol.receive_data(frame(TEXT, payload))
    (received,) = protocol.events_received()
    assert isinstance(received, Frame)
    assert (received.opcode, bytes(received.data)) == (Opcode.TEXT, payload)


def test_joins_fragments_with_a_ping_between() -> None:
    protocol = peer()
    protocol.send_text(b"hel", fin=False)
    protocol.send_ping(b"?")
    protocol.send_continuation(b"lo", fin=True)
    found = read_all(FrameReader(LIMIT), b"".join(protocol.data_to_send()), 3)
    assert found == [(PING, b"?"), (TEXT, b"hello")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc1\x80", 1002),  # reserved bit: a compressed frame that was never negotiated
        (b"\x81\x01a", 1002),  # not masked
        (b"\x83\x80", 1002),  # unknown opcode
        (b"\x09\x80", 1002),  # a ping in fragments
        (b"\x89\xfe", 1002),  # a ping of more than 125 bytes
        (b"\x80\x80", 1002),  # a continuation of nothing
        (b"\x01\x80\0\0\0\0\x81\x80", 1002),  # a new message inside another
        (b"\x81\x81\0\0\0\0\xff", 1007),  # no UTF-8
        (b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big"), 1009),
    ],
)
def test_refuses_broken_frames(data: bytes, code: int) -> None:
    reader = FrameReader(LIMIT)
    reader.feed(data)
    with pytest.raises(ProtocolError) as refused:
        while reader.next() is not None:
            pass
    assert refused.value.code == code


def test_fragments_count_together_for_the_limit() -> None:
    protocol = peer()
    protocol.send_text(b"x" * 600, fin=False)
    protocol.send_continuation(b"x" * 600, fin=True)
    reader = FrameReader(1000)
    reader.feed(b"".join(protocol.data_to_send()))
    with pytest.raises(ProtocolError, match="too big"):
        reader.next()


@given(st.binary(max_size=300))
def test_never_fails_but_by_protocol_error(data: bytes) -> None:
    reader = FrameReader(LIMIT)
    reader.feed(data)
    try:
        while reader.next() is not None:
            pass
    except ProtocolError as error:
        assert error.code in (1002, 1007, 1009)


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=100))
def test_unmask_is_the_documented_xor(mask: bytes, payload: bytes) -> None:
    assert unmask(mask, payload) == bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1012, "service restart"), (4001, "é" * 100)])
def test_close_frames_are_read_by_the_library(code: int, reason: str) -> None:
    protocol = peer()
    protocol.receive_data(close_frame(code, reason))
    assert protocol.close_rcvd is not None
    assert protocol.close_rcvd.code == code
    assert reason.startswith(protocol.close_rcvd.reason)


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x00\x00", b"\x03\xe8\xff"])
def test_refuses_close_payloads(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_close(payload)


def test_a_close_without_a_code_is_1005() -> None:
    assert parse_close(b"") == (1005, "")
    assert frame(CLOSE, b"") == close_frame(1005)
