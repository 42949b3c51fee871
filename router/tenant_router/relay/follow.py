"""Follows the frame heads in one direction of a WebSocket connection, sans-I/O (RFC 6455 section 5.2).

The relay passes bytes on as they came and never makes frames of them. What it must know is whether a direction stands
between two messages, because only there may something be put in, and now and then which method a client asks for. So a
follower adds up lengths and looks at nothing else: under 0.1 us for each frame, where a message library takes 4-11.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from ..mask import apply_mask

Buffer = bytes | bytearray | memoryview

WHOLE_TEXT = 0x81
"""First byte of an unfragmented text frame: nearly all that OpenClaw peers send."""


def _sizes(extra: int) -> list[int]:
    return [length + 2 + extra for length in range(126)] + [-4 - extra, 0]


SIZES = tuple(_sizes(0) + _sizes(4))
"""By a frame's second byte (mask bit and length, RFC 6455 section 5.2): positive, the size of the whole frame; negative,
what to take from its two-byte length to have the size; 0, its length has eight bytes."""
LOOK = 512
"""Payload bytes unmasked to see a request's method, and `params` where they matter: clients write `type`, `id` (a UUID) and
`method` first, and the longest poll that is seen (`cron.list` of the Control UI) has 300 bytes."""
_IN_HEAD = -1
_METHOD = re.compile(rb'"method"\s*:\s*"([^"\\]{1,64})"')


class Follower:
    """Where one direction of a connection stands in its frames."""

    __slots__ = ("_head", "closed", "left", "open")

    def __init__(self) -> None:
        self.left = 0
        """Bytes of the current frame that are still to come; 0: between frames; negative: inside a split head."""
        self.open = False
        """Inside a fragmented message, whatever control frames stand between its fragments."""
        self.closed = False
        """A close frame was passed on: nothing may follow it (RFC 6455 section 5.5.1)."""
        self._head = b""

    @property
    def boundary(self) -> bool:
        """Between two messages: here a whole frame of any kind may be put in."""
        return self.left == 0 and not self.open

    def advance(self, buffer: Buffer, end: int) -> None:
        """Take `buffer[:end]`, the next bytes of this direction."""
        at = self._resume(buffer, end) if self.left < 0 else self.left
        last = end - 1
        sizes = SIZES
        while 0 <= at < last:
            if buffer[at] == WHOLE_TEXT:
                size = sizes[buffer[at + 1]]
                if size > 0:
                    at += size
                    continue
                if size and at + 3 < end:
                    at += (buffer[at + 2] << 8 | buffer[at + 3]) - size
                    continue
            at = self._enter(buffer, at, end)
        if at >= end:
            self.left = at - end
        else:
            self._rest(buffer, at, end)

    def advance_to_boundary(self, buffer: Buffer, end: int) -> int:
        """Take bytes up to the first end of a message and return how many; take all and return -1 when none ends here."""
        at = self._resume(buffer, end) if self.left < 0 else self.left
        while 0 <= at <= end:
            if not self.open:
                self.left = 0
                return at
            if at == end:
                break
            at = self._enter(buffer, at, end)
        self._rest(buffer, at, end)
        return -1

    def advance_and_look(self, buffer: Buffer, end: int) -> Iterator[bytes]:
        """Take all of `buffer[:end]`, like `advance`; iterate over the unmasked beginnings of the messages that start in it.

        Everything is taken when the iterator ends. An empty beginning stands for a message that can't be seen in one
        piece from here, because its head or mask was split over two reads.
        """
        at = self.left
        if at < 0:
            opcode = self._head[0] & 15
            at = self._resume(buffer, end)
            if at >= 0 and opcode in (1, 2):
                yield b""
        while 0 <= at < end:
            start = at
            at = self._enter(buffer, start, end)
            if at >= 0 and buffer[start] & 15 in (1, 2):
                yield _beginning(buffer, start, min(at, end))
        self._rest(buffer, at, end)

    def _enter(self, buffer: Buffer, at: int, end: int) -> int:
        """Read the head at `at`; return where its frame ends (maybe behind `end`), or -1 when the head is not all there."""
        if end - at < 2:
            self._head = bytes(buffer[at:end])
            return _IN_HEAD
        first, second = buffer[at], buffer[at + 1]
        size = SIZES[second]
        if size <= 0:
            head = 4 if size else 10
            if end - at < head:
                self._head = bytes(buffer[at:end])
                return _IN_HEAD
            size = int.from_bytes(buffer[at + 2 : at + head], "big") + head + (4 if second & 128 else 0)
        opcode = first & 15
        if opcode < 8:
            self.open = first < 128
        elif opcode == 8:
            self.closed = True
        return at + size

    def _resume(self, buffer: Buffer, end: int) -> int:
        """Go on with a split head; return where its frame ends in `buffer`, or -1 when it is still not all there."""
        known = len(self._head)
        head = self._head + bytes(buffer[: min(end, 10 - known)])
        at = self._enter(head, 0, len(head))
        return at - known if at >= 0 else _IN_HEAD

    def _rest(self, buffer: Buffer, at: int, end: int) -> None:
        """Remember what of the last frame is still to come."""
        if 0 <= at == end - 1:
            at = self._enter(buffer, at, end)
        self.left = at - end if at >= 0 else _IN_HEAD


def beginning_of_whole(buffer: Buffer, end: int) -> bytes | None:
    """Return what `advance_and_look` would when `buffer[:end]` is one whole masked text frame, as nearly all are; else None."""
    if end < 8 or buffer[0] != WHOLE_TEXT or buffer[1] < 128:
        return None
    size = SIZES[buffer[1]]
    if size < 0:
        size = (buffer[2] << 8 | buffer[3]) - size
    return _beginning(buffer, 0, end) if size == end else None


def _beginning(buffer: Buffer, start: int, end: int) -> bytes:
    """Return at most `LOOK` unmasked payload bytes of the frame at `start`, as far as they have come."""
    second = buffer[start + 1]
    at = start + (2 if second & 127 < 126 else 4 if second & 127 == 126 else 10)
    if not second & 128:
        return bytes(buffer[at : min(at + LOOK, end)])
    if at + 4 > end:
        return b""
    return apply_mask(buffer[at + 4 : min(at + 4 + LOOK, end)], bytes(buffer[at : at + 4]))


def request_method(beginning: bytes) -> str | None:
    """Return the `method` that a frame asks for, None when it is not in this beginning."""
    found = _METHOD.search(beginning)
    return sys.intern(found[1].decode("ascii", "replace")) if found else None
