"""Server-sent events, sans-I/O (WHATWG HTML, section 9.2): bytes in, `(event, data)` out."""

from typing import Final

MAX_EVENT: Final = 4 * 1024 * 1024
"""Bytes of one event; a model's chunk is a few hundred, so more than this is no event stream."""


class EventTooLarge(Exception):
    """An event that does not end."""


class EventReader:
    """Splits a stream into events. Comments, ids and retry times mean nothing here."""

    __slots__ = ("_buffer", "_data", "_event", "_size", "_skip_newline")

    def __init__(self) -> None:
        self._buffer = b""
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self._skip_newline = False

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Return the events that are complete with these bytes.

        Raises:
            EventTooLarge: see the class.
        """
        if self._skip_newline and data:
            # A line that ended with a return at the end of the last piece may have its newline in this one.
            data = data.removeprefix(b"\n")
            self._skip_newline = False
        buffer = self._buffer + data
        if b"\r" in buffer:
            self._skip_newline = buffer.endswith(b"\r")
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._buffer = buffer.split(b"\n")
        self._size += sum(map(len, lines))
        if self._size + len(self._buffer) > MAX_EVENT:
            raise EventTooLarge
        events = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append((self._event, b"\n".join(self._data)))
                self._reset()
            else:
                self._reset()
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode(errors="replace")

    def _reset(self) -> None:
        self._event = ""
        self._data = []
        self._size = 0
