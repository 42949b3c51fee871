"""Transcripts: the messages of a session in order, each the JSON that upstream keeps for it."""

import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tenant_gateway.storage.sessions import now_ms

_decode: Final = msgspec.json.decode
_encode: Final = msgspec.json.encode


TERMINAL_ERROR: Final = ":terminal-error"
"""How the idempotency key of a message ends that tells people why a run failed; no model is shown it."""


class Entry(msgspec.Struct):
    """A message of a transcript, as it lies on disk."""

    session_id: str
    seq: int
    id: str
    run_id: str | None
    idempotency_key: str | None
    recorded_at: int
    message: dict[str, Any]


class TranscriptStore:
    """Transcripts in the database. Its writes are on disk when the call returns, unless a transaction is open around it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(
        self, session_id: str, message: dict[str, Any], run_id: str | None = None, idempotency_key: str | None = None
    ) -> Entry:
        """Add a message at the end.

        Raises:
            sqlite3.IntegrityError: a message with this idempotency key is there already.
        """
        entry = Entry(
            session_id, self.last_seq(session_id) + 1, str(uuid.uuid4()), run_id, idempotency_key, now_ms(), message
        )
        self._insert(entry)
        return entry

    def restore(self, entry: Entry) -> None:
        """Write an entry as it is, of a transcript that comes from elsewhere.

        Raises:
            sqlite3.IntegrityError: this place, id or idempotency key is taken.
        """
        self._insert(entry)

    def _insert(self, entry: Entry) -> None:
        self._connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                entry.session_id,
                entry.seq,
                entry.id,
                entry.run_id,
                entry.idempotency_key,
                entry.recorded_at,
                _encode(entry.message),
            ),
        )

    def last_seq(self, session_id: str) -> int:
        """Return the number of the last message; 0 for an empty transcript."""
        row = self._connection.execute("SELECT max(seq) FROM entries WHERE session_id = ?", (session_id,)).fetchone()
        return row[0] or 0

    def count(self, session_id: str) -> int:
        """Return how many messages there are."""
        query = "SELECT count(*) FROM entries WHERE session_id = ?"
        return int(self._connection.execute(query, (session_id,)).fetchone()[0])

    def latest(self, session_id: str, limit: int, offset: int = 0) -> list[Entry]:
        """Return the last messages in order, leaving out the `offset` very last."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE session_id = ? ORDER BY seq DESC LIMIT ? OFFSET ?",  # noqa: S608
            (session_id, limit, offset),
        ).fetchall()
        return [_entry(row) for row in reversed(rows)]

    def since(self, session_id: str, seq: int) -> Iterator[Entry]:
        """Yield the messages after `seq`."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE session_id = ? AND seq > ? ORDER BY seq",  # noqa: S608
            (session_id, seq),
        )
        return (_entry(row) for row in rows)

    def containing(self, session_id: str, text: str, limit: int) -> list[Entry]:
        """Return messages whose JSON holds a text, whatever its case, the latest first."""
        pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE session_id = ? AND CAST(message AS TEXT) LIKE ? ESCAPE '\\'"  # noqa: S608
            " ORDER BY seq DESC LIMIT ?",
            (session_id, pattern, limit),
        )
        return [_entry(row) for row in rows]

    def by_id(self, entry_id: str) -> Entry | None:
        """Return the message with this id."""
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM entries WHERE id = ?", (entry_id,)).fetchone()  # noqa: S608
        return None if row is None else _entry(row)

    def remove(self, idempotency_key: str) -> None:
        """Take a message out again."""
        self._connection.execute("DELETE FROM entries WHERE idempotency_key = ?", (idempotency_key,))

    def delete(self, session_id: str) -> None:
        """Remove a transcript."""
        self._connection.execute("DELETE FROM entries WHERE session_id = ?", (session_id,))


_COLUMNS: Final = "session_id, seq, id, run_id, idempotency_key, recorded_at, message"


def _entry(row: tuple[Any, ...]) -> Entry:
    session_id, seq, entry_id, run_id, idempotency_key, recorded_at, message = row
    return Entry(session_id, seq, entry_id, run_id, idempotency_key, recorded_at, _decode(message))
