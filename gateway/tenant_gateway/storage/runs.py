"""Runs: what was accepted under which idempotency key, and how it ended."""

import sqlite3
from typing import Any, Final

import msgspec

from tenant_gateway.storage.sessions import now_ms

_KEPT: Final = 7 * 24 * 3600 * 1000
"""Milliseconds for which a finished run answers a repeated request; clients repeat within minutes."""


QUEUED: Final = "queued"
STARTED: Final = "started"


class RunRecord(msgspec.Struct):
    """A row of `runs`. `status` is `queued` or `started` until it ends as `ok`, `error`, `timeout` or `aborted`."""

    run_id: str
    session_key: str
    session_id: str
    request: dict[str, Any]
    status: str
    accepted_at: int
    ended_at: int | None
    outcome: dict[str, Any] | None


class RunStore:
    """Runs in the database. Its writes are on disk when the call returns, unless a transaction is open around it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, run_id: str) -> RunRecord | None:
        """Return a run."""
        row = self._connection.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return None if row is None else _record(row)

    def accept(self, run_id: str, session_key: str, session_id: str, request: dict[str, Any], status: str) -> None:
        """Record that a run was accepted, with all that it takes to begin it later.

        Raises:
            sqlite3.IntegrityError: a run with this id is there already.
        """
        self._connection.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
            (run_id, session_key, session_id, msgspec.json.encode(request), status, now_ms()),
        )

    def start(self, run_id: str, session_id: str) -> None:
        """Record that a queued run has begun."""
        query = "UPDATE runs SET status = ?, session_id = ? WHERE run_id = ? AND ended_at IS NULL"
        self._connection.execute(query, (STARTED, session_id, run_id))

    def finish(self, run_id: str, status: str, outcome: dict[str, Any]) -> None:
        """Record how a run ended."""
        self._connection.execute(
            "UPDATE runs SET status = ?, ended_at = ?, outcome = ? WHERE run_id = ? AND ended_at IS NULL",
            (status, now_ms(), msgspec.json.encode(outcome), run_id),
        )

    def unfinished(self) -> list[RunRecord]:
        """Return the runs that a gateway before this one accepted and did not end."""
        rows = self._connection.execute("SELECT * FROM runs WHERE ended_at IS NULL ORDER BY accepted_at")
        return [_record(row) for row in rows]

    def prune(self) -> None:
        """Forget the runs that ended long ago."""
        self._connection.execute("DELETE FROM runs WHERE ended_at < ?", (now_ms() - _KEPT,))


def _record(row: tuple[Any, ...]) -> RunRecord:
    run_id, key, session_id, request, status, accepted_at, ended_at, outcome = row
    decode = msgspec.json.decode
    ended = None if outcome is None else decode(outcome)
    return RunRecord(run_id, key, session_id, decode(request), status, accepted_at, ended_at, ended)
