"""`helm upgrade` with people at their terminals: one is quiet, one's tenant sleeps, one's turn is running."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from clients.tap import Seen, Tap, tap
from clients.tui import Tui, tui
from deadlines import eventually
from e2e_cluster import model
from e2e_cluster.release import SOON, WAKE_SECONDS, MakeCli, Release, activity

pytestmark = [pytest.mark.openclaw]

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
WORDS = 70
LONG = f"WORDS:{WORDS} SLOW:200"
"""A turn of 14 s and more: longer than a rollout needs to end a router, shorter than that router's drain of 30 s."""
SETTLED = 2.0
"""Seconds without a word from the gateway after which a TUI has loaded what it shows."""
PACE = 0.1
"""Seconds between two looks at a screen: what stands there for a moment is seen too."""
ALARMS = ("error", "failed", "mismatch", "unauthorized", "aborted", "event gap", "lost")
"""Words of the TUI's when something is wrong. What it says of a 1012 by itself is `gateway reconnected after transport loss`."""


@dataclass
class Person:
    """Somebody at a terminal."""

    name: str
    ui: Tui
    way: Tap
    first: int
    """Connections that it took until the first hello: "not yet" is said to who waits long for a wake."""

    @property
    def later(self) -> list[Seen]:
        """Connections since it was connected, that one first."""
        return self.way.seen[self.first - 1 :]

    async def looks(self) -> None:
        """Look at the screen until cancelled."""
        while True:
            await self.ui.screen()
            await asyncio.sleep(PACE)

    async def says(self, text: str, answer: str) -> None:
        """Say something and wait for the end of the answer."""
        await self.ui.say(text)
        await self.ui.until(
            lambda screen: answer in screen and "| idle" in screen, SOON, f"{self.name} sees {answer!r}"
        )


@asynccontextmanager
async def person(release: Release, cli: MakeCli, name: str) -> AsyncIterator[Person]:
    """Somebody who has said `before` and was answered."""
    async with tap(release.url) as way, tui(cli(name, way.url)) as ui:
        await ui.shows("connected | idle", WAKE_SECONDS)
        # It still loads its history: what is said then is answered, but its status may go on saying that it waits.
        await eventually(lambda: time.monotonic() - way.heard > SETTLED, SOON, "it has asked all that it asks at first")
        one = Person(name, ui, way, len(way.seen))
        await one.says("before", "You said: before")
        ui.seen.clear()
        looking = asyncio.create_task(one.looks())
        try:
            yield one
        finally:
            (ARTIFACTS / f"upgrade-{name}.txt").write_text("\f".join(ui.seen))
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


@pytest.mark.timeout(540)
async def test_an_upgrade_sends_each_client_once_to_a_new_router(
    release: Release, cli: MakeCli, model_address: str
) -> None:
    release.apply(
        release.template("stays", "native", model.config(model_address)),
        release.template("sleeps", "native", model.config(model_address), idle={"timeout": "5s"}),
        release.tenant("quiet", "stays"),
        release.tenant("parked", "sleeps"),
        release.tenant("busy", "stays"),
    )
    await release.provisioned("quiet", "parked", "busy")
    async with contextlib.AsyncExitStack() as stack:
        opening = [stack.enter_async_context(person(release, cli, name)) for name in ("quiet", "parked", "busy")]
        everyone = _, _, busy = [await one for one in opening]
        await release.asleep("parked")
        gateway = release.pods("quiet")[0]["metadata"]["uid"]
        old = release.pods_of("router")
        its_router = router_of(release, "busy", old)

        values = release.values()["router"] | {"podAnnotations": {"e2e/rollout": secrets.token_hex(4)}}
        upgrade = asyncio.create_task(asyncio.to_thread(release.install, router=values))
        try:
            ending = partial(asyncio.to_thread, is_ending, release, its_router)
            await eventually(ending, WAKE_SECONDS, "its router is told to end")
            await busy.says(LONG, f"word{WORDS - 1}")
            assert len(busy.later) == 1, "the turn came to its end where it began"
            assert its_router in release.pods_of("router"), "in an old router, which had to end since"
        finally:
            await upgrade
        replaced = partial(asyncio.to_thread, lambda: not set(old) & set(release.pods_of("router")))
        await eventually(replaced, SOON, "all routers replaced")

        for one in everyone:

            def is_back(one: Person = one) -> bool:
                return len(one.later) > 1

            await eventually(is_back, SOON, f"{one.name} has come back")
            await one.ui.shows("connected | idle", SOON)
            await one.says("after", "You said: after")
            assert [seen.close_code for seen in one.later] == [1012, None], one.name
            for screen in one.ui.seen:
                assert not [words for words in ALARMS if words in screen.lower()], screen
        assert release.pods("quiet")[0]["metadata"]["uid"] == gateway, "an upgrade ends no gateway"
    for name, said in (
        ("quiet", ["before", "after"]),
        ("parked", ["before", "after"]),
        ("busy", ["before", LONG, "after"]),
    ):
        assert await asked(release, name) == said


def router_of(release: Release, tenant: str, routers: list[str]) -> str:
    """The router that this tenant's one client is connected to."""
    key = f"{release.tenants}/{tenant}"
    (found,) = [one for one in routers if activity(release, one).get(key, {}).get("connections")]
    return found


def is_ending(release: Release, pod: str) -> bool:
    """Whether a pod was told to end."""
    metadata = release.cluster.kubectl.get("pod", pod, "-n", release.namespace)["metadata"]
    return "deletionTimestamp" in metadata


async def asked(release: Release, name: str) -> list[str]:
    """The user's messages of a tenant's transcript."""
    async with release.client(name) as client:
        answer = await client.call("chat.history", sessionKey="agent:main:main")
    asked = [one["content"] for one in answer["messages"] if one["role"] == "user"]
    return [one if isinstance(one, str) else "".join(block.get("text", "") for block in one) for one in asked]
