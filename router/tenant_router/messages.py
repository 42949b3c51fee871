"""Whole WebSocket messages of a handshake, sans-I/O, and exactly where each ends.

The library (`websockets.protocol`) does the protocol: masks, fragments, control frames, size limit, close codes. It is
fed frame by frame, because the bytes behind `connect` and behind hello-ok must go on as they came (trap 2).
"""

from __future__ import annotations

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State


class Closed(Exception):
    """The peer closed, or broke the protocol; what has to be answered is in `MessageReader.to_send()`."""


class MessageReader:
    """Reads complete messages of one side of a handshake and leaves the rest of the bytes alone."""

    __slots__ = ("_parts", "_protocol", "_raw")

    def __init__(self, side: Side, max_size: int, received: bytes = b"") -> None:
        self._protocol = Protocol(side, max_size=max_size)
        self._raw = bytearray(received)
        self._parts: list[bytes] = []

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
        while (size := self._frame_size()) is not None:
            self._protocol.receive_data(bytes(self._raw[:size]))
            del self._raw[:size]
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame) and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    self._parts.append(bytes(frame.data))
                    if frame.fin:
                        message = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                        self._parts.clear()
                        return message
            if self._protocol.state is not State.OPEN:
                raise Closed
        return None

    def _frame_size(self) -> int | None:
        """Bytes of the frame at the front, once it is all there; of its head alone when the library will refuse it."""
        raw = self._raw
        if len(raw) < 2:
            return None
        length = raw[1] & 127
        head = 2 if length < 126 else 4 if length == 126 else 10
        if len(raw) < head:
            return None
        if length > 125:
            length = int.from_bytes(raw[2:head], "big")
        if raw[1] & 128:
            head += 4
        limit = self._protocol.max_message_size
        if limit is not None and length > limit:
            return head if len(raw) >= head else None
        return head + length if len(raw) >= head + length else None

    def rest(self) -> bytes:
        """Return the bytes behind the last message that was returned."""
        return bytes(self._raw)

    def send_text(self, message: bytes) -> bytes:
        """Return the bytes of a text message (masked on the client side)."""
        self._protocol.send_text(message)
        return self.to_send()

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
        received = self._protocol.close_rcvd
        return 1006 if received is None else int(received.code)

    @property
    def close_reason(self) -> str:
        """The reason beside `close_code`."""
        received = self._protocol.close_rcvd
        return "" if received is None else received.reason

    def to_send(self) -> bytes:
        """Return the bytes that are due: pongs, an answer to a close frame."""
        return b"".join(self._protocol.data_to_send())
