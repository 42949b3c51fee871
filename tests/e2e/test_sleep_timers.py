"""A tenant that sleeps keeps its cron jobs: it wakes ahead of them, they run on time, and it sleeps again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from deadlines import eventually
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

ON_TIME = 2.0
"""Seconds."""
PATIENT = (pytest.mark.patient, pytest.mark.timeout(500))


@pytest.mark.parametrize(
    ("runtime", "idle", "due_in"),
    [
        # Longer than the idle timeout, the lead of a cold start and what is too short to sleep for.
        ("native", 3, 45.0),
        pytest.param("native", 20, 90.0, marks=PATIENT),
        pytest.param("openclaw", 20, 90.0, marks=PATIENT),
    ],
)
async def test_it_wakes_for_its_timer_and_sleeps_again(fresh: World, runtime: str, idle: int, due_in: float) -> None:
    await fresh.add("anna", runtime, idle=f"{idle}s")

    async def state() -> str:
        return str((await fresh.up.tenant("anna"))["state"])

    async def is_asleep() -> bool:
        return await state() == "asleep"

    async def is_awake() -> bool:
        return await state() == "awake"

    async with fresh.running():
        async with fresh.client("anna", deadline=200.0) as client:
            due = time.time() + due_in
            await client.call(
                "cron.add",
                name="evening",
                schedule={"kind": "at", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))},
                sessionTarget="isolated",
                wakeMode="now",
                payload={"kind": "agentTurn", "message": "it is evening"},
                deleteAfterRun=False,
            )
            due = float(int(due))
            await eventually(is_asleep, idle + 20, "it sleeps although a job is to come")
            one = await fresh.up.tenant("anna")
            assert one["nextTimer"] == due
            assert "next timer" in one["reason"]
            assert "or its timer at" in (await fresh.command("why", "anna"))["next"]
            await eventually(is_awake, due_in, "it wakes by itself")
            assert time.time() < due
            assert "its timer is due" in (await fresh.up.tenant("anna"))["reason"]

            async def has_run() -> dict[str, Any]:
                runs = await client.call("cron.runs")
                return runs["entries"][0] if runs["entries"] else {}

            run = await eventually(has_run, due_in, "the job has run")
            assert abs(float(str(run.get("runAtMs") or run["ts"])) / 1000 - due) < ON_TIME, run
        await eventually(is_asleep, idle + 30, "it sleeps again")
        assert (await fresh.up.tenant("anna"))["wakes"] == 2


async def test_timers_outlive_the_fleet(fresh: World) -> None:
    await fresh.add("anna", "native")
    async with fresh.running(), fresh.client("anna") as client:
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20))
        await client.call(
            "cron.add",
            name="soon",
            schedule={"kind": "at", "at": soon},
            sessionTarget="isolated",
            wakeMode="now",
            payload={"kind": "agentTurn", "message": "it is time"},
            deleteAfterRun=False,
        )
    # It was awake until its fleet stopped, and nobody asks for it.
    async with fresh.running():

        async def has_woken() -> bool:
            return bool((await fresh.up.tenant("anna"))["wakes"] == 1)

        await eventually(has_woken, 60, "the next fleet wakes it, whenever it starts")
        async with fresh.client("anna") as client:

            async def has_run() -> bool:
                return bool((await client.call("cron.runs"))["entries"])

            await eventually(has_run, 30, "the job has run")
