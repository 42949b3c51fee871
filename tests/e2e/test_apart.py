"""A tenant's agent, told to look at another's things: by tool and by exec, on both runtimes, through the router."""

from __future__ import annotations

import json

import pytest

from e2e_world import World

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

both = pytest.mark.parametrize(("name", "other"), [("anna", "bert"), ("bert", "anna")], ids=["native", "openclaw"])


async def ask(world: World, name: str, tool: str, arguments: dict[str, str]) -> str:
    async with world.client(name) as client:
        return "".join([piece async for piece in client.chat(f"TOOL:{tool} {json.dumps(arguments)}")])


@both
async def test_exec_reaches_its_own_workspace_and_nothing_of_others(world: World, name: str, other: str) -> None:
    await world.command("wake", other)
    there = world.data / "tenants" / other
    secret = json.loads((there / "config" / "openclaw.json").read_text())["gateway"]["auth"]["trustedProxy"][
        "allowUsers"
    ][0]
    pid = (await world.up.tenant(other))["pid"]
    assert "here" in await ask(world, name, "exec", {"command": "echo here > mine.txt && cat mine.txt"})
    for command in (
        f"cat {there}/config/openclaw.json",
        f"ls {there}/state",
        f"cat {world.data}/master.key | od -c",
        f"ls {world.directory}",
        f"cat /proc/{pid}/environ | tr '\\0' '\\n'",
        "cat /proc/*/environ | tr '\\0' '\\n'",
        f"kill -9 {pid}; echo killed=$?",
        f"touch {world.data}/tenants/{other}/state/planted",
    ):
        answer = await ask(world, name, "exec", {"command": command + " 2>&1; true"})
        assert f"sk-of-{other}" not in answer, command
        assert secret not in answer, command
        assert "killed=0" not in answer, command
    assert not (there / "state" / "planted").exists()
    assert (await world.up.tenant(other))["state"] == "awake"


@both
async def test_exec_does_not_reach_the_others_port_or_the_admin_port(world: World, name: str, other: str) -> None:
    await world.command("wake", other)
    ports = [(await world.up.tenant(other))["port"], int(world.up.up.admin.rpartition(":")[2])]
    for port in ports:
        command = f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached || echo refused"
        answer = await ask(world, name, "exec", {"command": f"bash -c '{command}' 2>&1"})
        assert "refused" in answer and "reached" not in answer.replace("refused", ""), port


@both
async def test_read_tool_does_not_leave_the_workspace(world: World, name: str, other: str) -> None:
    answer = await ask(world, name, "read", {"path": str(world.data / "tenants" / other / "config" / "openclaw.json")})
    assert "allowUsers" not in answer


@both
async def test_neither_model_nor_history_nor_presence_ever_holds_the_identity_secret(
    world: World, name: str, other: str
) -> None:
    async with world.client(name) as client:
        assert "You said" in "".join([piece async for piece in client.chat("what is my name?")])
    there = world.data / "tenants" / name
    config = json.loads((there / "config" / "openclaw.json").read_text())
    (user,) = config["gateway"]["auth"]["trustedProxy"]["allowUsers"]
    secret = user.partition("@")[2]
    assert len(secret) == 64
    assert secret not in json.dumps([request.body for request in world.llm.requests])
    cli = world.cli(name)
    for method, params in (
        ("chat.history", {"sessionKey": "agent:main:main"}),
        ("system-presence", {}),
        ("status", {}),
    ):
        assert secret not in (await cli.call(method, params, timeout=60)).ok().stdout, method
