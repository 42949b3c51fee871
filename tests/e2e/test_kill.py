"""`kill -9` of anything, at any time: what is started again finds and keeps order."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from deadlines import eventually
from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]


async def say(world: World, name: str, text: str) -> str:
    async with world.client(name) as client:
        return "".join([piece async for piece in client.chat(text)])


async def test_gateway_killed_while_awake_is_started_by_the_next_request(fresh: World) -> None:
    await fresh.add("anna", "native")
    async with fresh.running() as up:
        assert await say(fresh, "anna", "one") == "You said: one"
        for pid in fresh.gateways("anna"):
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: fresh.gateways("anna") == [], 10)
        assert await say(fresh, "anna", "two") == "You said: two"
        assert len(fresh.gateways("anna")) == 1
        async with fresh.client("anna") as client:
            history = str(await client.call("chat.history", sessionKey="agent:main:main"))
        assert "one" in history and "two" in history
        assert (await up.tenant("anna"))["wakes"] == 2


@pytest.mark.parametrize("moment", ["awake", "waking"])
async def test_up_killed_and_started_again_has_one_gateway_a_tenant(fresh: World, moment: str) -> None:
    await fresh.add("anna", "native")
    await fresh.add("bert", "openclaw")
    async with fresh.running() as up:
        assert await say(fresh, "anna", "before") == "You said: before"
        waking = asyncio.create_task(fresh.command("wake", "bert"))
        state = moment

        async def reached() -> bool:
            return bool((await up.tenant("bert"))["state"] == state)

        await eventually(reached, 60, f"bert is {moment}")
        os.kill(up.process.pid, signal.SIGKILL)
        await up.process.wait()
        await asyncio.gather(waking, return_exceptions=True)
    async with fresh.running():
        assert await say(fresh, "anna", "after") == "You said: after"
        assert await say(fresh, "bert", "after") == "You said: after"
        assert len(fresh.gateways("anna")) == 1
        assert len(fresh.gateways("bert")) == 1
        async with fresh.client("anna") as client:
            assert "before" in str(await client.call("chat.history", sessionKey="agent:main:main"))
    assert fresh.gateways("anna") == fresh.gateways("bert") == []


async def test_sigterm_leaves_no_process(fresh: World) -> None:
    await fresh.add("anna", "native")
    async with fresh.running() as up:
        assert await say(fresh, "anna", "one") == "You said: one"
        session = up.process.pid
        await up.stop()
    left = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and _session(entry) == session]
    assert left == []


def _session(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except OSError:
        return -1
