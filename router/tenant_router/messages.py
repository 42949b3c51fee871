"""Whole WebSocket messages of a handshake, sans-I/O, and exactly where each ends.

The bytes behind `connect` and behind hello-ok must go on as they came (trap 2), so frames are taken one by one. A message
in one frame, which is what OpenClaw's peers send, is unmasked here; anything else (fragments, control frames, violations)
goes through the library (`websockets.protocol`), whose objects alone cost a fifth of a connection's handshake.
"""

from __future__ import annotations

import os

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from .mask import apply_mask

WHOLE = (0x81, 0x82)
"""First byte of a text or binary message in one frame, no reserved bits (RFC 6455 section 5.2)."""


def text_frame(message: bytes) -> bytes:
    """Return a text message in one frame, as a server sends it (RFC 6455 section 5.2)."""
    return _head(len(message), 0) + message


def masked_text_frame(message: bytes) -> bytes:
    """Return a text message in one frame, as a client sends it (RFC 6455 section 5.3)."""
    mask = os.urandom(4)
    return _head(len(message), 0x80) + mask + apply_mask(message, mask)


def _head(length: int, masked: int) -> bytes:
    if length < 126:
        return bytes((WHOLE[0], masked | length))
    if length < 1 << 16:
        return bytes((WHOLE[0], masked | 126, length >> 8, length & 255))
    return bytes((WHOLE[0], masked | 127)) + length.to_bytes(8, "big")


class Closed(Exception):
    """The peer closed, or broke the protocol; what has to be answered is in `MessageReader.to_send()`."""


class MessageReader:
    """Reads complete messages of one side of a handshake and leaves the rest of the bytes alone."""

    __slots__ = ("_library", "_max_size", "_parts", "_raw", "_side")

    def __init__(self, side: Side, max_size: int, received: bytes = b"") -> None:
        self._side = side
        self._max_size = max_size
        self._raw = bytearray(received)
        self._library: Protocol | None = None
        self._parts: list[bytes] = []

    @property
    def _protocol(self) -> Protocol:
        if self._library is None:
            self._library = Protocol(self._side, max_size=self._max_size)
        return self._library

    def feed(self, data: bytes) -> None:
        """Take bytes from the socket."""
        self._raw += data

    def next_message(self) -> bytes | None:
        """Return the next complete text or binary message, or None when more bytes are needed.

        Raises
        ------
        Closed
            A close frame came, or the frame is not valid or too large.
        """
        raw = self._raw
        while len(raw) >= 2:
            second = raw[1]
            length = second & 127
            head = 2 if length < 126 else 4 if length == 126 else 10
            if len(raw) < head:
                return None
            if length > 125:
                length = int.from_bytes(raw[2:head], "big")
            masked = second > 127
            head += 4 * masked
            # Of a frame that is too large the library needs only the head to refuse it.
            size = head + length if length <= self._max_size else head
            if len(raw) < size:
                return None
            usual = (
                self._library is None
                and raw[0] in WHOLE
                and masked is (self._side is Side.SERVER)
                and length <= self._max_size
            )
            with memoryview(raw) as view:  # a hello is copied once here, not three times
                taken = bytes(view[head if usual else 0 : size])
                mask = bytes(view[head - 4 : head]) if usual and masked else b""
            del raw[:size]
            message = (apply_mask(taken, mask) if mask else taken) if usual else self._by_library(taken)
            if message is not None:
                return message
        return None

    def _by_library(self, frame: bytes) -> bytes | None:
        protocol = self._protocol
        protocol.receive_data(frame)
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(bytes(event.data))
                if event.fin:
                    message = b"".join(self._parts)
                    self._parts.clear()
                    return message
        if protocol.state is not State.OPEN:
            raise Closed
        return None

    def rest(self) -> bytes:
        """Return the bytes behind the last message that was returned."""
        return bytes(self._raw)

    def send_text(self, message: bytes) -> bytes:
        """Return the bytes of a text message (masked on the client side), with whatever was due before it."""
        frame = masked_text_frame(message) if self._side is Side.CLIENT else text_frame(message)
        return self.to_send() + frame

    def close(self, code: int, reason: str) -> bytes:
        """Return the bytes of a close frame, with whatever was due before it. 1005 stands for a frame without a code."""
        if self._protocol.state is State.OPEN:
            if code == 1005:
                self._protocol.send_close()
            else:
                self._protocol.send_close(1011 if code == 1006 else code, reason)
        return self.to_send()

    @property
    def close_code(self) -> int:
        """The close code that was received; 1005 when it had none, 1006 when no close frame came (RFC 6455 section 7.1.5)."""
        received = None if self._library is None else self._library.close_rcvd
        return 1006 if received is None else int(received.code)

    @property
    def close_reason(self) -> str:
        """The reason beside `close_code`."""
        received = None if self._library is None else self._library.close_rcvd
        return "" if received is None else received.reason

    def to_send(self) -> bytes:
        """Return the bytes that are due: pongs, an answer to a close frame."""
        return b"" if self._library is None else b"".join(self._library.data_to_send())
