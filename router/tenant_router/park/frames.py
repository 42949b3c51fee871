"""Cuts a byte stream into WebSocket frames, sans-I/O (RFC 6455 section 5.2), and keeps each as it came.

Only for connections that are not relayed at the moment; the relay itself never makes frames of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from websockets.frames import Frame, Opcode

from ..mask import apply_mask

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Cut(NamedTuple):
    """One whole frame."""

    raw: bytes
    """Head, mask and payload as they came."""

    @property
    def opcode(self) -> int:
        """RFC 6455 section 5.2."""
        return self.raw[0] & 15

    @property
    def whole(self) -> bool:
        """It is a message in one frame."""
        return self.raw[0] & 0xF0 == 0x80

    @property
    def payload(self) -> bytes:
        """The payload, unmasked."""
        raw = self.raw
        length = raw[1] & 127
        head = 2 if length < 126 else 4 if length == 126 else 10
        if raw[1] < 128:
            return raw[head:]
        return apply_mask(raw[head + 4 :], raw[head : head + 4])


class Cutter:
    """One direction of one connection, from a frame's head on."""

    __slots__ = ("_fragments", "_limit", "_passing", "_raw")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._raw = b""
        self._passing = 0
        self._fragments = False

    @property
    def boundary(self) -> bool:
        """It stands between two messages, and nothing of a next one has come."""
        return not self._raw and self.divisible

    @property
    def divisible(self) -> bool:
        """What was yielded so far ends between two messages."""
        return not self._passing and not self._fragments

    def feed(self, data: bytes) -> Iterator[Cut | bytes]:
        """Take bytes; yield whole frames, and what came of frames larger than the limit as plain bytes. Exhaust it."""
        if self._passing:
            part, data = data[: self._passing], data[self._passing :]
            self._passing -= len(part)
            yield part
        raw = self._raw + data if self._raw else data
        at = 0
        while len(raw) - at >= 2:
            length = raw[at + 1] & 127
            head = 2 if length < 126 else 4 if length == 126 else 10
            if len(raw) - at < head:
                break
            if length > 125:
                length = int.from_bytes(raw[at + 2 : at + head], "big")
            size = head + length + (4 if raw[at + 1] & 128 else 0)
            opcode = raw[at] & 15
            if (opcode < 8 and size <= len(raw) - at) or size > self._limit:
                self._fragments = raw[at] < 128
            if size <= len(raw) - at:
                yield Cut(raw[at : at + size])
            elif size > self._limit:
                yield raw[at:]
                self._passing = size - (len(raw) - at)
            else:
                break
            at = min(at + size, len(raw))
        self._raw = raw[at:] if at else raw

    def rest(self) -> bytes:
        """Return what came of a next frame and was not yielded."""
        return self._raw


def text(payload: bytes, *, mask: bool = False) -> bytes:
    """Return a text message as a frame; a client's must be masked."""
    return Frame(Opcode.TEXT, payload).serialize(mask=mask)


def pong(payload: bytes) -> bytes:
    """Return a gateway's answer to a ping."""
    return Frame(Opcode.PONG, payload).serialize(mask=False)


def ping(payload: bytes) -> bytes:
    """Return a client's ping."""
    return Frame(Opcode.PING, payload).serialize(mask=True)


def close(payload: bytes) -> bytes:
    """Return a gateway's close frame with the payload of the client's (RFC 6455 section 5.5.1)."""
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)
