"""Sessions: a key such as `agent:main:main`, the transcript it points to, what the user set, what the last run left."""

import sqlite3
import time
import uuid
from typing import Any, Final

import msgspec

DEFAULT_AGENT: Final = "main"
MAIN_KEY: Final = "agent:main:main"

_decode: Final = msgspec.json.decode
_encode: Final = msgspec.json.encode


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Session(msgspec.Struct):
    """A row of `sessions`."""

    key: str
    session_id: str
    created_at: int
    updated_at: int
    interacted_at: int
    settings: dict[str, Any]
    """What `sessions.patch` set: label, model, thinkingLevel, archived, pinned, …, by upstream's names."""
    state: dict[str, Any]
    """What runs left: inputTokens, outputTokens, totalTokens, status, startedAt, endedAt, lastRunId, …."""


def canonical_key(key: str) -> str:
    """Return the full key of a short one: `main` is `agent:main:main`, `x` is `agent:main:x`; case does not matter."""
    lowered = key.strip().lower()
    if lowered.startswith("agent:") or lowered in ("global", "unknown"):
        return lowered
    return f"agent:{DEFAULT_AGENT}:{lowered}"


class SessionStore:
    """Sessions in the database. Its writes are on disk when the call returns, unless a transaction is open around it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> Session | None:
        """Return the session with a full key."""
        row = self._connection.execute("SELECT * FROM sessions WHERE key = ?", (key,)).fetchone()
        return None if row is None else _session(row)

    def by_session_id(self, session_id: str) -> Session | None:
        """Return the session whose current transcript has this id."""
        row = self._connection.execute("SELECT * FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
        return None if row is None else _session(row)

    def ensure(self, key: str, created_via: str = "operator") -> Session:
        """Return the session, made now when there is none."""
        return self.get(key) or self.create(key, {}, created_via)

    def create(self, key: str, settings: dict[str, Any], created_via: str = "operator") -> Session:
        """Make a session."""
        now = now_ms()
        session = Session(key, str(uuid.uuid4()), now, now, now, settings, {"createdVia": created_via})
        self.save(session)
        return session

    def save(self, session: Session) -> None:
        """Write a session."""
        self._connection.execute(
            "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                session.key,
                session.session_id,
                session.created_at,
                session.updated_at,
                session.interacted_at,
                _encode(session.settings),
                _encode(session.state),
            ),
        )

    def touch(self, session: Session, *, interaction: bool = False) -> None:
        """Set the time of the last change, and of the last message of a person."""
        session.updated_at = now_ms()
        if interaction:
            session.interacted_at = session.updated_at

    def reset(self, session: Session) -> None:
        """Point the key to a new, empty transcript; the old one stays on disk."""
        session.session_id = str(uuid.uuid4())
        session.state = {"createdVia": session.state.get("createdVia", "operator")}
        self.touch(session)
        self.save(session)

    def delete(self, session: Session) -> None:
        """Remove the key; with it the transcript is reached no more."""
        self._connection.execute("DELETE FROM sessions WHERE key = ?", (session.key,))

    def count(self) -> int:
        """Return how many there are."""
        return int(self._connection.execute("SELECT count(*) FROM sessions").fetchone()[0])

    def recent(self, limit: int) -> list[tuple[str, int]]:
        """Return keys and times of the last change, latest first."""
        return self._connection.execute(
            "SELECT key, updated_at FROM sessions ORDER BY updated_at DESC LIMIT ?", (limit,)
        ).fetchall()

    def all(self) -> list[Session]:
        """Return all, the last changed first."""
        return [_session(row) for row in self._connection.execute("SELECT * FROM sessions ORDER BY updated_at DESC")]


def _session(row: tuple[Any, ...]) -> Session:
    key, session_id, created_at, updated_at, interacted_at, settings, state = row
    return Session(key, session_id, created_at, updated_at, interacted_at, _decode(settings), _decode(state))
