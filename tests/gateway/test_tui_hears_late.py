"""A client that is so busy that it would read all of a turn at once (`Run.taken_note_of`): upstream's TUI after its start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from native_world import TOKEN, NativeGateway, Operator

from clients.openclaw_cli import OpenClawCli
from clients.tap import tap
from clients.tui import tui
from deadlines import eventually

START = 60.0
"""Seconds for the TUI to be there, on a busy machine."""
TURN = 20.0


async def answered(operator: Operator) -> bool:
    history = await operator.call("chat.history", {"sessionKey": "main"})
    return [message["role"] for message in history["messages"]] == ["user", "assistant"]


def finals(operator: Operator) -> int:
    return sum(event["event"] == "chat" and event["payload"]["state"] == "final" for event in operator.events)


async def test_a_turn_ends_when_its_sender_has_read_that_it_began(gateway: NativeGateway, operator: Operator) -> None:
    async with tap(f"ws://127.0.0.1:{gateway.port}") as way:
        sender = await Operator(way).open()
        way.flows.clear()
        message = {"sessionKey": "main", "message": "hello", "idempotencyKey": "late"}
        sending = asyncio.create_task(sender.call("chat.send", message))
        await eventually(lambda: answered(operator), TURN, "the turn is in the transcript")
        await operator.call("health")
        assert finals(operator) == 0
        way.flows.set()
        assert (await sending)["status"] == "started"
        await eventually(lambda: finals(operator) == finals(sender) == 1, TURN, "the turn has ended")
        await sender.close()


@pytest.mark.openclaw
async def test_its_status_does_not_wait_for_a_turn_that_is_over(
    gateway: NativeGateway, operator: Operator, openclaw_cli: Callable[..., OpenClawCli]
) -> None:
    """Every second time that upstream's TUI reads `started` together with all of the turn, it waits for ever."""
    async with tap(f"ws://127.0.0.1:{gateway.port}") as way, tui(openclaw_cli(way.url, TOKEN)) as ui:
        await ui.shows("connected | idle", START)
        way.flows.clear()
        await ui.say("hello")
        await eventually(lambda: answered(operator), TURN, "the turn is in the transcript")
        await operator.call("health")  # by its answer, all that was sent before lies in the passage
        way.flows.set()
        await ui.until(lambda screen: "You said: hello" in screen and "connected | idle" in screen, TURN)
