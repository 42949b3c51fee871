"""What commands of the agent cannot reach, whatever they try; and paths of file tools that change while they are used."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from native_world import TOKEN, NativeGateway, Operator, call_tool

from tenant_gateway.tools.landlock import abi

needs_landlock = pytest.mark.skipif(not abi(), reason="the kernel has no Landlock")


@pytest.fixture
async def confined(native: NativeGateway) -> Operator:
    """An operator of a gateway that has a secret in its environment, its configuration and its state directory."""
    native.environ |= {"PROVIDER_KEY": "sk-secret-of-the-environment", "TMPDIR": str(native.state.parent / "tmp")}
    (native.state.parent / "tmp").mkdir()
    (native.state / "beside").write_text("secret beside the workspace")
    await native.start()
    client = await native.operator()
    await client.turn("hello")
    return client


async def run(client: Operator, line: str) -> str:
    """Run a command as the agent does; return its output, or what went wrong."""
    return await call_tool(client, "exec", command=line)


async def test_ordinary_work_goes_on(confined: Operator) -> None:
    assert await run(confined, "echo one > a && cp a b && mv b c && ln -s c d && cat d && rm a c d") == "one"
    assert await run(confined, "mkdir -p x/y && touch x/y/z && find . -name z && rm -r x") == "./x/y/z"
    assert await run(confined, "f=$(mktemp) && echo two > $f && cat $f && echo gone > /dev/null && rm $f") == "two"
    assert "127.0.0.1" in await run(confined, "getent hosts localhost; grep -m1 127.0.0.1 /etc/hosts")
    assert await run(confined, f"{sys.base_prefix}/bin/python3 -c 'print(6 * 7)'") == "42"
    assert await run(confined, "sleep 5 & kill %1 2>/dev/null || kill $!; wait; echo ended") == "ended"


@needs_landlock
@pytest.mark.parametrize(
    "line",
    [
        "cat ../beside",
        "cat ../../openclaw.json",
        "cat ../tenant-gateway.sqlite | head -c 100",
        "cat ../logs/gateway.log",
        "cat /proc/$PPID/environ",
        "cat /proc/$PPID/mem",
        "cat /proc/$PPID/root{state}/beside",
        "ls {state}",
        "cat /etc/shadow",
        "echo secret > ../made",
        "rm ../beside",
        "ln ../beside here && cat here",
        "ln -s ../beside here && cat here",
        "mv ../beside here && cat here",
        "kill -0 $PPID",
    ],
)
async def test_commands_do_not_reach_the_gateway(native: NativeGateway, confined: Operator, line: str) -> None:
    answer = await run(confined, line.replace("{state}", str(native.state)))
    assert any(words in answer for words in ("denied", "not permitted", "Invalid cross-device link")), answer
    for secret in ("sk-secret", "secret beside", TOKEN, "SQLite format", "root:"):
        assert secret not in answer
    assert (native.state / "beside").exists()
    assert not (native.state / "made").exists()


async def test_a_template_may_switch_it_off(native: NativeGateway) -> None:
    native.config["agents"]["defaults"]["sandbox"] = {"mode": "off"}
    (native.state / "beside").write_text("open")
    await native.start()
    client = await native.operator()
    await client.turn("hello")
    assert await run(client, "cat ../beside") == "open"
    native.write_config(lambda config: config["agents"]["defaults"].pop("sandbox"))
    await client.event(lambda frame: frame["event"] == "config.changed")
    if abi():
        assert "denied" in await run(client, "cat ../beside")


async def test_input_reaches_a_command_until_it_ends(confined: Operator) -> None:
    started = await call_tool(confined, "exec", command="read line; echo got $line", background=True)
    session = started.split("session ")[1].split(",")[0]
    assert await call_tool(confined, "process", action="write", sessionId=session, data="this\n") == "Written"
    assert "got this" in await call_tool(confined, "process", action="poll", sessionId=session, timeout=5000)
    assert "no input" in await call_tool(confined, "process", action="write", sessionId=session, data="more")


@contextmanager
def swapping(path: Path, outside: Path) -> Iterator[None]:
    """While the block runs, a name is by turns a directory of the workspace and a link that leads out of it."""
    inside, link = path.with_name("inside"), path.with_name("link")
    inside.mkdir()
    (inside / "secret").write_text("harmless")
    link.symlink_to(outside)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for name in (inside, link):
                try:
                    name.rename(path)
                except OSError:  # a tool has made a directory of this name meanwhile
                    shutil.rmtree(path, ignore_errors=True)
                    continue
                path.rename(name)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


async def test_a_link_that_comes_and_goes_leads_nowhere(native: NativeGateway, confined: Operator) -> None:
    outside = native.state / "outside"
    outside.mkdir()
    (outside / "secret").write_text("the secret")
    workspace = native.state / "workspace"

    with swapping(workspace / "swapped", outside):
        for _ in range(25):
            answers = await asyncio.gather(
                call_tool(confined, "read", session="a", path="swapped/secret"),
                call_tool(confined, "write", session="b", path="swapped/made", content="x"),
                call_tool(confined, "ls", session="c", path="swapped"),
                call_tool(confined, "grep", session="d", pattern="secret", path="swapped"),
            )
            assert not any("the secret" in answer for answer in answers)
    assert [path.name for path in outside.iterdir()] == ["secret"]
