"""A tenant's agent, told to look at another's things: by tool and by exec, on both runtimes, through the router."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e_world import World, descendants

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.openclaw]

both = pytest.mark.parametrize(("name", "other"), [("anna", "bert"), ("bert", "anna")], ids=["native", "openclaw"])


async def ask(world: World, name: str, tool: str, arguments: dict[str, str]) -> str:
    async with world.client(name) as client:
        return "".join([piece async for piece in client.chat(f"TOOL:{tool} {json.dumps(arguments)}")])


KEY = b"LLM_KEY="


@dataclass(frozen=True)
class Attempt:
    """A shell command at another tenant's cost, and the text in its output that tells of its success."""

    command: str
    evidence: str


def attempts(world: World, other: str, pid: int) -> list[Attempt]:
    """Return what is tried. All of it is harmless where it succeeds, which it does from outside."""
    there = world.data / "tenants" / other
    (there / "state" / "diary").touch()
    # The fleet knows the gateway's keeper; what has the keys is below it. A native gateway, which is forked and told, shows none.
    tree = (pid, *descendants(pid))
    holders = [one for one in tree if KEY in Path(f"/proc/{one}/environ").read_bytes()]
    master = base64.b64encode((world.data / "master.key").read_bytes()).decode()
    return [
        Attempt(f"cat {there}/config/openclaw.json", secret_of(world, other)),
        Attempt(f"ls {there}/state", "diary"),
        Attempt(f"base64 -w0 {world.data}/master.key", master),
        Attempt(f"ls {world.directory}", f"{other}.yaml"),
        *(
            Attempt(f"{show} | tr '\\0' '\\n' | grep -a ^LLM_KEY= | sort -u", f"sk-of-{other}")
            for holder in holders[:1]
            for show in (f"cat /proc/{holder}/environ", "cat /proc/*/environ")
        ),
        *(
            Attempt(f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && echo rea''ched'", "reached")
            for port in (int((there / "port").read_text()), int(world.up.up.admin.rpartition(":")[2]))
        ),
        Attempt(f"touch {there}/state/planted && echo planted=$?", "planted=0"),
        Attempt(f"for one in {' '.join(map(str, tree))}; do kill -0 $one && echo killable=$?; done", "killable=0"),
    ]


def secret_of(world: World, name: str) -> str:
    config = json.loads((world.data / "tenants" / name / "config" / "openclaw.json").read_text())
    (user,) = config["gateway"]["auth"]["trustedProxy"]["allowUsers"]
    secret: str = user.partition("@")[2]
    assert len(secret) == 64
    return secret


async def tried(world: World, name: str, attempt: Attempt) -> bool:
    """Have a tenant's agent try; tell whether it succeeded."""
    return attempt.evidence in await ask(world, name, "exec", {"command": f"( {attempt.command} ) 2>&1; true"})


async def succeeds_outside(attempt: Attempt) -> bool:
    """Try the same as the operator, whom nothing confines: what shows that the attempt is a real one."""
    process = await asyncio.create_subprocess_shell(f"( {attempt.command} ) 2>&1", stdin=-3, stdout=-1)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return attempt.evidence in out.decode(errors="replace")


@both
async def test_exec_reaches_its_own_workspace_and_nothing_of_others(world: World, name: str, other: str) -> None:
    await world.command("wake", other)
    pid = (await world.up.tenant(other))["pid"]
    assert "here" in await ask(world, name, "exec", {"command": "echo here > mine.txt && cat mine.txt"})
    planted = world.data / "tenants" / other / "state" / "planted"
    everything = attempts(world, other, pid)
    assert [one.command for one in everything if not await succeeds_outside(one)] == []
    planted.unlink()
    assert [one.command for one in everything if await tried(world, name, one)] == []
    assert not planted.exists()
    one = await world.up.tenant(other)
    assert (one["state"], one["pid"]) == ("awake", pid)


@both
async def test_read_tool_does_not_leave_the_workspace(world: World, name: str, other: str) -> None:
    path = world.data / "tenants" / other / "config" / "openclaw.json"
    assert "allowUsers" in path.read_text()
    assert "allowUsers" not in await ask(world, name, "read", {"path": str(path)})


@both
async def test_neither_model_nor_history_nor_presence_ever_holds_the_identity_secret(
    world: World, name: str, other: str
) -> None:
    async with world.client(name) as client:
        assert "You said" in "".join([piece async for piece in client.chat("what is my name?")])
    secret = secret_of(world, name)
    assert secret not in json.dumps([request.body for request in world.llm.requests])
    cli = world.cli(name)
    for method, params in (
        ("chat.history", {"sessionKey": "agent:main:main"}),
        ("system-presence", {}),
        ("status", {}),
    ):
        assert secret not in (await cli.call(method, params, timeout=60)).ok().stdout, method
