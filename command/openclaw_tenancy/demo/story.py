"""The demo's story: two people, one URL, one machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

from .client import GatewayClient, Refused
from .display import Display, Shown
from .fakellm import FakeLLM
from .files import DemoTenant, write_files
from .machine import DemoFailed, Machine, alive, machine, new_token
from .person import Person

WATCH_SECONDS = 0.05
"""Between two looks at the fleet: a native wake takes 0.3 s and must be seen."""
ASLEEP_TIMEOUT = 60.0
"""Seconds until idle tenants must be asleep: 4 s idle, and upstream's end."""


async def tell(display: Display, folder: Path, runtime: OpenClawRuntime | None) -> None:
    """Tell the whole story.

    Raises
    ------
    DemoFailed
        Something was not as it should be.
    """
    anna = DemoTenant("anna", "native", "sk-only-annas")
    bert = DemoTenant("bert", "openclaw" if runtime else "native", "sk-only-berts")
    async with FakeLLM() as llm:
        display.chapter("Two Tenant files, a token each, one machine")
        write_files(folder / "tenants", (anna, bert), llm.base_url)
        tokens = {}
        for tenant in (anna, bert):
            display.command(f"openclaw-tenancy token new {tenant.name}")
            tokens[tenant.name] = await new_token(tenant.name, folder / "tenants")
            display.tenants[tenant.name] = Shown(tenant.runtime)
        display.say(
            "The files have only their hashes. The language model is a local stand-in that repeats what it hears."
        )
        display.command("openclaw-tenancy up tenants/")
        async with machine(folder / "tenants", folder / "data", folder / "up.log") as up, _watched(display, up):
            display.say(f"Ready. Both have the same URL, {up.url}, and nobody is awake.")
            people = {
                name: Person(name, up.url, token, folder / f"home-{name}", runtime) for name, token in tokens.items()
            }
            pids = set[int]()
            rows: dict[str, str] = {}
            for name, word in (("anna", "maple"), ("bert", "birch")):
                rows |= await _first_message(display, up, people[name], word)
                pids.add((await up.tenant(name))["pid"])
            await _apart(display, up, people, llm)
            rows |= await _sleep_and_wake(display, up, people["anna"], pids)
            pids.add((await up.tenant("anna"))["pid"])
            display.chapter("The end")
            display.command("kill -TERM <up>")
            seconds = await up.stop()
            left = [pid for pid in pids if pid and alive(pid)]
            if left:
                raise DemoFailed(f"processes are left: {left}")
            display.good(f"`up` ended in {seconds:.1f} s with exit code 0 and left no process behind")
        display.summary("Measured just now", rows)


async def _first_message(display: Display, up: Machine, person: Person, word: str) -> dict[str, str]:
    runtime = display.tenants[person.name].runtime
    display.chapter(f"{person.name} writes to a gateway that is asleep ({runtime})")
    if (await up.tenant(person.name))["state"] != "asleep":
        raise DemoFailed(f"{person.name} is not asleep")
    display.command(f'{person.typed} "my word is {word}"')
    reply, seconds = await person.say(f"my word is {word}")
    if reply != f"You said: my word is {word}":
        raise DemoFailed(f"{person.name} was answered {reply!r}")
    display.good(f"answered {reply!r} after {seconds:.1f} s, the client's own start and the wake included")
    wake = (await up.tenant(person.name))["lastWake"]
    return {
        f"{person.name}: wake ({runtime})": f"{wake['ready']:.2f} s",
        f"{person.name}: message to answer, from asleep": f"{seconds:.1f} s",
    }


async def _apart(display: Display, up: Machine, people: dict[str, Person], llm: FakeLLM) -> None:
    display.chapter("Neither can reach the other")
    for name, own, other in (("anna", "maple", "birch"), ("bert", "birch", "maple")):
        person = people[name]
        async with GatewayClient(person.url, person.token) as client:
            history = str(await client.call("chat.history", sessionKey="agent:main:main"))
        if own not in history or other in history:
            raise DemoFailed(f"{name}'s token opened the wrong history: {history[:400]}")
        display.good(f"{name}'s token opens {name}'s history ({own}), and only that")
    keys = {turn.turn.text.rpartition(" ")[2]: turn.headers.get("authorization") for turn in llm.requests}
    if keys.get("maple") != "Bearer sk-only-annas" or keys.get("birch") != "Bearer sk-only-berts":
        raise DemoFailed(f"the language model was called with the wrong keys: {keys}")
    display.good("each gateway called the model with its own tenant's key")
    found = await asyncio.to_thread(_traces, up, people, [one["pid"] for one in await up.tenants()])
    if found:
        raise DemoFailed(f"a token was found where it must not be: {found}")
    display.good("the tokens end at the router: in no file, command line or environment of any gateway")
    before = (await up.tenant("bert"))["wakes"], (await up.tenant("anna"))["wakes"]
    try:
        async with GatewayClient(up.url, people["bert"].token[:-1] + "x"):
            raise DemoFailed("a wrong token was let in")
    except Refused as refused:
        display.good(f"one letter wrong: “{refused.error.message}”")
    if ((await up.tenant("bert"))["wakes"], (await up.tenant("anna"))["wakes"]) != before:
        raise DemoFailed("a wrong token woke somebody")
    await _try_to_read(display, up, people["bert"], up.data / "tenants" / "anna" / "config" / "openclaw.json")


async def _try_to_read(display: Display, up: Machine, person: Person, path: Path) -> None:
    call = json.dumps({"command": f"cat {path} || echo refused"})
    async with GatewayClient(up.url, person.token) as client:
        answer = "".join([piece async for piece in client.chat(f"TOOL:exec {call}")])
    if "refused" not in answer or "gateway" in answer:
        raise DemoFailed(f"{person.name}'s agent was answered {answer!r}")
    display.good(f"{person.name}'s agent, told to `cat {path.name}` of the other by its exec tool, can't")


async def _sleep_and_wake(display: Display, up: Machine, anna: Person, pids: set[int]) -> dict[str, str]:
    display.chapter("Nobody writes any more")
    started = time.monotonic()
    await _until(up, lambda tenants: all(one["state"] == "asleep" for one in tenants), "both asleep")
    running = [pid for pid in pids if pid and alive(pid)]
    if running:
        raise DemoFailed(f"asleep, but processes run: {running}")
    display.good(f"both asleep after {time.monotonic() - started:.1f} s: no process, no memory; their data is on disk")
    display.chapter("anna comes back, with a client that streams")
    started = time.monotonic()
    async with GatewayClient(anna.url, anna.token) as client:
        hello = time.monotonic() - started
        display.say(f"hello after {hello * 1000:.0f} ms, wake included")
        first = None
        pieces = []
        async for piece in client.chat("and what was it?"):
            first = first or time.monotonic() - started
            pieces.append(piece)
        history = str(await client.call("chat.history", sessionKey="agent:main:main"))
    if first is None or "maple" not in history:
        raise DemoFailed("anna's history was lost while she was asleep")
    display.good(f"first word after {first * 1000:.0f} ms, {len(pieces)} pieces; her history is still there (maple)")
    return {
        "anna: hello, from asleep": f"{hello * 1000:.0f} ms",
        "anna: first word, from asleep": f"{first * 1000:.0f} ms",
    }


def _traces(up: Machine, people: dict[str, Person], pids: list[int | None]) -> list[str]:
    """Return where a client's token can be read among the tenants' files and processes."""
    places = [path for path in (up.data / "tenants").rglob("*") if path.is_file()]
    places += [Path(f"/proc/{pid}/{name}") for pid in pids if pid for name in ("environ", "cmdline")]
    found = []
    for place in places:
        with suppress(OSError):
            content = place.read_bytes()
            found += [str(place) for person in people.values() if person.token.encode() in content]
    return found


async def _until(up: Machine, condition: Callable[[list[dict[str, Any]]], bool], what: str) -> None:
    deadline = time.monotonic() + ASLEEP_TIMEOUT
    while not condition(tenants := await up.tenants()):
        if time.monotonic() > deadline:
            raise DemoFailed(f"not {what} after {ASLEEP_TIMEOUT:.0f} s: {tenants}. {up.tail()}")
        await asyncio.sleep(WATCH_SECONDS)


@asynccontextmanager
async def _watched(display: Display, up: Machine) -> AsyncIterator[None]:
    """Have the display follow the tenants' states while the block runs."""

    async def watch() -> None:
        while True:
            for one in await up.tenants():
                display.state(one["name"], one["state"], one["connections"])
            await asyncio.sleep(WATCH_SECONDS)

    task = asyncio.create_task(watch(), name="watch the tenants")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
