"""Cron jobs and their runs."""

import sqlite3
from typing import Any, Final

import msgspec

_KEPT_RUNS: Final = 200
"""Runs of a job that are kept."""


class CronStore:
    """Jobs in the database, each the JSON that clients see. Writes are on disk when the call returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> list[dict[str, Any]]:
        """Return all jobs, the oldest first."""
        rows = self._connection.execute("SELECT job FROM cron_jobs").fetchall()
        jobs = [msgspec.json.decode(row[0]) for row in rows]
        return sorted(jobs, key=lambda job: job["createdAtMs"])

    def get(self, job_id: str) -> dict[str, Any] | None:
        """Return a job."""
        row = self._connection.execute("SELECT job FROM cron_jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def save(self, job: dict[str, Any]) -> None:
        """Write a job; `state.nextRunAtMs` is also kept by itself, to be asked for without reading the jobs."""
        due = job["state"].get("nextRunAtMs") if job["enabled"] else None
        query = "INSERT OR REPLACE INTO cron_jobs VALUES (?, ?, ?)"
        self._connection.execute(query, (job["id"], msgspec.json.encode(job), due))

    def delete(self, job_id: str) -> bool:
        """Remove a job; whether there was one."""
        return self._connection.execute("DELETE FROM cron_jobs WHERE id = ?", (job_id,)).rowcount > 0

    def count(self) -> int:
        """Return how many jobs there are."""
        return int(self._connection.execute("SELECT count(*) FROM cron_jobs").fetchone()[0])

    def next_due(self) -> int | None:
        """Return when the next job runs."""
        row = self._connection.execute("SELECT min(next_run_at) FROM cron_jobs").fetchone()
        return None if row[0] is None else int(row[0])

    def due(self, now: int) -> list[dict[str, Any]]:
        """Return the jobs whose time has come."""
        query = "SELECT job FROM cron_jobs WHERE next_run_at <= ? ORDER BY next_run_at"
        return [msgspec.json.decode(row[0]) for row in self._connection.execute(query, (now,))]

    def add_run(self, entry: dict[str, Any]) -> None:
        """Record that a job has run."""
        job_id = entry["jobId"]
        self._connection.execute(
            "INSERT INTO cron_runs (job_id, started_at, entry) VALUES (?, ?, ?)",
            (job_id, entry.get("runAtMs", entry["ts"]), msgspec.json.encode(entry)),
        )
        self._connection.execute(
            "DELETE FROM cron_runs WHERE job_id = ? AND id NOT IN"
            " (SELECT id FROM cron_runs WHERE job_id = ? ORDER BY id DESC LIMIT ?)",
            (job_id, job_id, _KEPT_RUNS),
        )

    def runs(self, job_id: str | None, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Return runs, the latest first, and how many there are in all."""
        where, values = ("WHERE job_id = ?", [job_id]) if job_id else ("", [])
        total = self._connection.execute(f"SELECT count(*) FROM cron_runs {where}", values).fetchone()[0]  # noqa: S608
        query = f"SELECT entry FROM cron_runs {where} ORDER BY id DESC LIMIT ? OFFSET ?"  # noqa: S608
        rows = self._connection.execute(query, [*values, limit, offset])
        return [msgspec.json.decode(row[0]) for row in rows], int(total)
