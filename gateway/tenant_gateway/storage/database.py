"""The tenant's one SQLite file: opened, migrated, and committed before anything is acknowledged."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MIGRATIONS: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE sessions (
        key TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        interacted_at INTEGER NOT NULL,
        settings BLOB NOT NULL,
        state BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX sessions_by_update ON sessions (updated_at DESC);
    CREATE TABLE entries (
        session_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        run_id TEXT,
        idempotency_key TEXT UNIQUE,
        recorded_at INTEGER NOT NULL,
        message BLOB NOT NULL,
        PRIMARY KEY (session_id, seq)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        session_key TEXT NOT NULL,
        session_id TEXT NOT NULL,
        request BLOB NOT NULL,
        status TEXT NOT NULL,
        accepted_at INTEGER NOT NULL,
        ended_at INTEGER,
        outcome BLOB
    ) WITHOUT ROWID;
    CREATE INDEX runs_unfinished ON runs (accepted_at) WHERE ended_at IS NULL;
    CREATE TABLE cron_jobs (id TEXT PRIMARY KEY, job BLOB NOT NULL, next_run_at INTEGER) WITHOUT ROWID;
    CREATE TABLE cron_runs (
        id INTEGER PRIMARY KEY,
        job_id TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        entry BLOB NOT NULL
    );
    CREATE INDEX cron_runs_by_job ON cron_runs (job_id, id DESC);
    """,
)
"""One script a schema version, each run once, in order; `PRAGMA user_version` counts them."""


class SchemaTooNew(Exception):
    """The file was written by a newer gateway; opening it with this one could lose what that one knows."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, make it when there is none, and bring its schema up to date.

    Raises:
        SchemaTooNew: see the class.
        sqlite3.Error: not a database, no room, no permission.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0, cached_statements=64)
    connection.execute("PRAGMA journal_mode=WAL")
    # FULL syncs the log at every commit: what was acknowledged survives a power loss too, not only our own end.
    connection.execute("PRAGMA synchronous=FULL")
    # A small page cache; the kernel has the file cached anyway, and it gives that back when memory is short.
    connection.execute("PRAGMA cache_size=-512")
    migrate(connection)
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Run the migrations that this file has not seen."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise SchemaTooNew(f"the database has schema {version}, this gateway knows {len(MIGRATIONS)}")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything inside is on disk when the block ends, or nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
