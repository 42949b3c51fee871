"""WebSocket frames of a server (RFC 6455), sans-I/O, no extensions.

Ours and not a library's, because the start is the product: `websockets.protocol` costs 40 ms of processor time and 2 MiB
to import, a third of all that the gateway spends until its first hello. It is tested against that library.
"""

from typing import Final

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NO_STATUS: Final = 1005
"""Stands for a close frame without a code (RFC 6455, section 7.4.1); never sent."""

_MAX_CONTROL: Final = 125
_UNSENDABLE: Final = frozenset({1004, 1005, 1006, 1015})


class ProtocolError(Exception):
    """The peer broke the protocol; close with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FrameReader:
    """Turns bytes into `(opcode, payload)`: whole messages, pings, pongs and the close frame."""

    __slots__ = ("_buffer", "_fragments", "_message_opcode", "_message_size", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes of the largest message that is taken."""
        self._buffer = bytearray()
        self._fragments: list[bytes] = []
        self._message_opcode = 0
        self._message_size = 0

    def feed(self, data: bytes) -> None:
        """Take bytes from the socket."""
        self._buffer += data

    def next(self) -> tuple[int, bytes] | None:
        """Return the next message or control frame, or None when more bytes are needed.

        Raises:
            ProtocolError: 1002 for a broken frame, 1007 for text that is no UTF-8, 1009 for one that is too large.
        """
        while (frame := self._next_frame()) is not None:
            fin, opcode, payload = frame
            if opcode >= CLOSE:
                return opcode, payload
            if opcode:
                self._message_opcode = opcode
                if fin:
                    return self._complete(opcode, payload)
            self._fragments.append(payload)
            self._message_size += len(payload)
            if fin:
                whole = b"".join(self._fragments)
                self._fragments.clear()
                self._message_size = 0
                return self._complete(self._message_opcode, whole)
        return None

    def _complete(self, opcode: int, payload: bytes) -> tuple[int, bytes]:
        self._message_opcode = 0
        if opcode == TEXT and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError:
                raise ProtocolError(1007, "invalid utf-8") from None
        return opcode, payload

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode = first & 0x0F
        fin = bool(first & 0x80)
        self._check_head(first, second, opcode, fin)
        length = second & 0x7F
        head = 2
        if length == 126:
            head = 4
        elif length == 127:
            head = 10
        if len(buffer) < head:
            return None
        if head > 2:
            length = int.from_bytes(buffer[2:head], "big")
        if length + self._message_size > self.limit:
            raise ProtocolError(1009, "message too big")
        end = head + 4 + length
        if len(buffer) < end:
            return None
        payload = unmask(bytes(buffer[head : head + 4]), buffer[head + 4 : end])
        del buffer[:end]
        return fin, opcode, payload

    def _check_head(self, first: int, second: int, opcode: int, fin: bool) -> None:
        if first & 0x70:
            raise ProtocolError(1002, "reserved bits must be 0")
        if not second & 0x80:
            raise ProtocolError(1002, "unmasked frame")
        if opcode >= CLOSE:
            if opcode > PONG or not fin or second & 0x7F > _MAX_CONTROL:
                raise ProtocolError(1002, "invalid control frame")
        elif opcode > BINARY:
            raise ProtocolError(1002, "invalid opcode")
        elif (opcode == 0) != (self._message_opcode != 0):
            raise ProtocolError(1002, "unexpected continuation" if opcode == 0 else "expected a continuation")


def unmask(mask: bytes, payload: bytes | bytearray) -> bytes:
    """XOR with the repeated mask (RFC 6455, section 5.3): one operation on two large numbers."""
    size = len(payload)
    if not size:
        return b""
    key = mask * (size // 4) + mask[: size % 4]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole, unmasked frame."""
    return frame_head(opcode, len(payload)) + payload


def frame_head(opcode: int, size: int) -> bytes:
    """Return the head of an unmasked frame of `size` bytes."""
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; a code that may not be sent becomes a frame without one, the reason is cut to fit."""
    if code in _UNSENDABLE:
        return frame(CLOSE, b"")
    text = reason.encode()[: _MAX_CONTROL - 2].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2, "big") + text)


def parse_close(payload: bytes) -> tuple[int, str]:
    """Return code and reason of a close frame; 1005 when it has none.

    Raises:
        ProtocolError: a payload of one byte, a code that may not be sent, a reason that is no UTF-8.
    """
    if not payload:
        return NO_STATUS, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or code in _UNSENDABLE or not (1000 <= code < 1016 or 3000 <= code < 5000):
        raise ProtocolError(1002, "invalid close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(1007, "invalid close reason") from None
