"""Jobs by the clock: schedules (pure), and jobs of a real gateway."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_world import NativeGateway, Operator, Refused

from deadlines import eventually
from tenant_gateway.cron.schedule import InvalidSchedule, next_run, parse_cron


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def cron(expression: str, zone: str = "UTC") -> dict[str, Any]:
    return {"kind": "cron", "expr": expression, "tz": zone}


NOW = ms("2026-11-24T09:30:15")


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (cron("* * * * *"), "2026-11-24T09:31:00"),
        (cron("0 9 * * *"), "2026-11-25T09:00:00"),
        (cron("0 9 * * *", "Europe/Paris"), "2026-11-25T08:00:00"),
        (cron("*/20 * * * *"), "2026-11-24T09:40:00"),
        (cron("0 0 1 jan *"), "2027-01-01T00:00:00"),
        (cron("0 12 * * mon-fri"), "2026-11-24T12:00:00"),
        (cron("0 12 * * 7"), "2026-11-29T12:00:00"),
        (cron("0 0 13 * 5"), "2026-11-27T00:00:00"),
        (cron("0 0 29 2 *"), "2028-02-29T00:00:00"),
        (cron("@hourly"), "2026-11-24T10:00:00"),
        (cron("30 2 29 3 *", "Europe/Paris"), "2027-03-29T00:30:00"),
        ({"kind": "every", "everyMs": 60_000, "anchorMs": 0}, "2026-11-24T09:31:00"),
        ({"kind": "every", "everyMs": 60_000, "anchorMs": ms("2026-12-01T00:00:00")}, "2026-12-01T00:00:00"),
        ({"kind": "at", "at": "2026-11-24T10:00:00Z"}, "2026-11-24T10:00:00"),
    ],
)
def test_next_run(schedule: dict[str, Any], expected: str) -> None:
    assert next_run(schedule, NOW) == ms(expected)


def test_what_never_comes() -> None:
    assert next_run(cron("0 0 30 2 *"), NOW) is None
    assert next_run({"kind": "at", "at": "2020-01-01T00:00:00Z"}, NOW) is None


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "60 * * * *", "* * 0 * *", "a * * * *", "*/0 * * * *", "5-1 * * * *"]
)
def test_expressions_that_are_refused(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        next_run(cron(expression), NOW)


def test_zones_and_kinds_that_are_refused() -> None:
    for schedule in (cron("* * * * *", "Mars/Olympus"), {"kind": "on-exit"}, {"kind": "every", "everyMs": 0}):
        with pytest.raises(InvalidSchedule):
            next_run(schedule, NOW)


@given(st.integers(0, 59), st.integers(0, 23), st.integers(0, 2**41))
def test_the_next_run_matches_and_is_later(minute: int, hour: int, after: int) -> None:
    found = next_run(cron(f"{minute} {hour} * * *"), after)
    assert found is not None
    assert after < found <= after + 24 * 3600 * 1000
    at = datetime.fromtimestamp(found / 1000, UTC)
    assert (at.hour, at.minute, at.second) == (hour, minute, 0)


@given(st.text(max_size=20))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidSchedule):
        parse_cron(text)


JOB = {
    "name": "job",
    "schedule": {"kind": "every", "everyMs": 3_600_000},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "hello cron"},
}


async def test_a_job_is_added_run_and_removed(operator: Operator) -> None:
    job = await operator.call("cron.add", JOB)
    assert job["nextRunAtMs"] > job["createdAtMs"]
    status = await operator.call("cron.status", {})
    assert (status["jobs"], status["nextWakeAtMs"]) == (1, job["nextRunAtMs"])
    ran = await operator.call("cron.run", {"id": job["id"]})
    assert ran["ran"] is True
    finished = await operator.event(lambda frame: frame["event"] == "cron" and frame["payload"]["action"] == "finished")
    assert finished["payload"]["status"] == "ok"
    assert "hello cron" in finished["payload"]["summary"]
    runs = await operator.call("cron.runs", {"id": job["id"]})
    assert [entry["runId"] for entry in runs["entries"]] == [ran["runId"]]
    listed = (await operator.call("cron.list", {}))["jobs"]
    assert listed[0]["state"]["lastStatus"] == "ok"
    assert (await operator.call("sessions.list", {}))["sessions"][0]["key"] == f"agent:main:cron:{job['id']}"
    updated = await operator.call("cron.update", {"id": job["id"], "patch": {"enabled": False}})
    assert updated["enabled"] is False
    assert (await operator.call("cron.status", {}))["nextWakeAtMs"] is None
    assert (await operator.call("cron.list", {}))["jobs"] == []
    assert (await operator.call("cron.list", {"includeDisabled": True}))["total"] == 1
    assert await operator.call("cron.remove", {"id": job["id"]}) == {"ok": True, "removed": True}
    assert await operator.call("cron.remove", {"id": job["id"]}) == {"ok": True, "removed": False}


async def test_a_job_runs_by_itself(operator: Operator) -> None:
    await operator.call("cron.add", {**JOB, "schedule": {"kind": "every", "everyMs": 400}})

    def count() -> int:
        return sum(frame["event"] == "cron" and frame["payload"]["action"] == "finished" for frame in operator.events)

    await eventually(lambda: count() >= 2, 10)


async def test_a_job_that_was_missed_runs_at_the_start(native: NativeGateway) -> None:
    await native.start()
    client = await native.operator()
    at = (await client.call("health"))["ts"] + 700
    await client.call(
        "cron.add", {**JOB, "schedule": {"kind": "at", "at": datetime.fromtimestamp(at / 1000, UTC).isoformat()}}
    )
    await client.close()
    await native.stop()
    await eventually(lambda: datetime.now(UTC).timestamp() * 1000 > at, 5)
    await native.start()
    client = await native.operator()

    async def answered() -> bool:
        runs = await client.call("cron.runs", {})
        return [entry["status"] for entry in runs["entries"]] == ["ok"]

    await eventually(answered, 10)
    assert (await client.call("cron.list", {"includeDisabled": True}))["total"] == 0
    await client.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schedule": None}, "must have required property 'schedule'"),
        ({"schedule": {"kind": "cron", "expr": "x"}}, "five fields"),
        ({"sessionTarget": "main"}, "systemEvent"),
        ({"sessionTarget": "elsewhere"}, "sessionTarget"),
        ({"payload": {"kind": "agentTurn", "message": " "}}, "payload"),
    ],
)
async def test_jobs_that_are_refused(operator: Operator, change: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        await operator.call("cron.add", {**JOB, **change})
    with pytest.raises(Refused, match="unknown cron job id"):
        await operator.call("cron.run", {"id": "nosuch"})
