"""SIGKILL at random instants: what was acknowledged is there afterwards, and nothing is there, or was done, twice.

`GATEWAY_KILLS=200 pytest tests/gateway/test_kill.py` for more instants, `GATEWAY_KILLS_SEED` to repeat a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from native_world import NativeGateway, Operator, Refused
from websockets.exceptions import WebSocketException

from deadlines import eventually
from openclaw_tenancy.demo.fakellm import FakeLLM

KILLS = int(os.environ.get("GATEWAY_KILLS", "12"))
SEED = int(os.environ.get("GATEWAY_KILLS_SEED") or random.randrange(1 << 30))
SESSIONS = ("main", "one", "two")
LATEST = 0.25
"""Seconds after the first message of a round at which the gateway is killed at the latest; a turn takes 0.1 to 0.3."""


@dataclass
class Message:
    text: str
    session: str
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    acknowledged: bool = False


class Chatter:
    """A client that sends messages and sends those again, under the same key, that were not acknowledged."""

    def __init__(self, gateway: NativeGateway, dice: random.Random) -> None:
        self.gateway = gateway
        self.dice = dice
        self.sent: list[Message] = []
        self.notes: list[Message] = []
        self.heard = 0
        """How many messages were acknowledged."""

    def compose(self) -> Message:
        number = len(self.sent)
        words = f"number {number} of them"
        if self.dice.random() < 0.3:
            words = f'TOOL:exec {{"command": "echo {number} >> done"}}'
        elif self.dice.random() < 0.5:
            words = f"SLOW:{self.dice.choice((1, 20, 60))} {words}"
        self.sent.append(Message(words, self.dice.choice(SESSIONS)))
        return self.sent[-1]

    async def talk(self) -> None:
        """Send old and new messages until the gateway is gone."""
        with contextlib.suppress(OSError, Refused, WebSocketException):
            client = await self.gateway.operator()
            try:
                for message in [*(message for message in self.sent if not message.acknowledged), self.compose()]:
                    await self.send(client, message)
                while True:
                    await self.send(client, self.compose())
                    await self.note(client)
                    await asyncio.sleep(self.dice.uniform(0, 0.03))
            finally:
                await client.close()

    async def send(self, client: Operator, message: Message) -> None:
        params = {"sessionKey": message.session, "message": message.text, "idempotencyKey": message.key}
        try:
            await client.call("chat.send", params)
        except Refused as refused:
            if "queue is full" not in str(refused):
                raise
            return
        message.acknowledged = True
        self.heard += 1

    async def note(self, client: Operator) -> None:
        note = Message(f"note {len(self.notes)}", "main")
        self.notes.append(note)
        try:
            await client.call("chat.inject", {"sessionKey": note.session, "message": note.text})
        except Refused as refused:
            if "session not found" not in str(refused):
                raise
            self.notes.remove(note)
            return
        note.acknowledged = True


@pytest.mark.timeout(120 + 3 * KILLS)
async def test_nothing_acknowledged_is_lost_and_nothing_is_twice(native: NativeGateway, llm: FakeLLM) -> None:
    dice = random.Random(SEED)
    chatter = Chatter(native, dice)
    for _ in range(KILLS):
        await native.start()
        before = chatter.heard
        talking = asyncio.create_task(chatter.talk())
        if dice.random() < 0.9:
            await eventually(partial(heard_or_gone, chatter, before, talking), 20, f"a first word (seed {SEED})")
        await asyncio.sleep(dice.uniform(0, LATEST))  # the random instant, which is what is tested
        await native.kill()
        await asyncio.wait_for(talking, 20)
    await native.start()
    client = await native.operator()
    for message in chatter.sent:
        while not message.acknowledged:
            await chatter.send(client, message)
            await asyncio.sleep(0.02)

    async def is_quiet() -> bool:
        return bool((await client.call("gateway.suspend.prepare", {"requestId": "quiet"}))["status"] == "ready")

    await eventually(is_quiet, 120, f"all turns end (seed {SEED})")
    await native.stop()
    await native.start()
    client = await native.operator()
    told = [message for session in SESSIONS for message in await everything(client, session)]
    keys = Counter(message["idempotencyKey"] for message in told if message["role"] == "user")
    assert keys == Counter(f"{message.key}:user" for message in chatter.sent), f"seed {SEED}"
    texts = Counter(message["content"][0]["text"] for message in told if message.get("model") == "gateway-injected")
    assert set(texts.values()) <= {1}, f"seed {SEED}"
    assert {note.text for note in chatter.notes if note.acknowledged} <= set(texts), f"seed {SEED}"
    finals = Counter(
        message["__openclaw"]["runId"]
        for message in told
        if message["role"] == "assistant" and message["stopReason"] == "stop" and "runId" in message["__openclaw"]
    )
    # A message that steers joins a run, which then has two answers: as many as were asked for, and never more.
    assert sum(finals.values()) <= len(chatter.sent), f"seed {SEED}"
    done = native.state / "workspace" / "done"
    lines = Counter(done.read_text().split() if done.exists() else [])
    assert set(lines.values()) <= {1}, f"done twice: {lines}, seed {SEED}"
    print(
        f"seed {SEED}: {KILLS} kills, {len(chatter.sent)} messages, {len(chatter.notes)} notes, {len(lines)} commands"
    )
    await client.close()


def heard_or_gone(chatter: Chatter, before: int, talking: asyncio.Task[None]) -> bool:
    return talking.done() or chatter.heard > before


async def everything(client: Operator, session: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while True:
        page = await client.call("chat.history", {"sessionKey": session, "limit": 1000, "offset": len(messages)})
        messages = page["messages"] + messages
        if not page["hasMore"]:
            return messages
