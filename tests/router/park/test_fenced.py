"""A fenced connection: real sockets on both sides, a gateway that answers, one that goes, a client that takes nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from websockets.frames import Frame, Opcode

from deadlines import eventually
from tenant_router.loop import RelayLoop, running_selector
from tenant_router.park.answers import Answers
from tenant_router.park.fenced import Fenced, probe
from tenant_router.park.frames import PING, Cut, Cutter
from tenant_router.park.machine import Machine
from tenant_router.park.noted import Noted
from tenant_router.relay.pair import Detached

WAIT = 10.0
ROOM = 64 * 1024 * 1024
"""More than two sockets' buffers hold."""


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"relay": RelayLoop}


class Ends:
    """The far ends of a fenced connection: what the client and the gateway have in their hands."""

    def __init__(self) -> None:
        self.client, client = socket.socketpair()
        self.gateway, gateway = socket.socketpair()
        for sock in (self.client, client, self.gateway, gateway):
            sock.setblocking(False)
        self.machine = Machine(Noted(), b"[]", lambda: {"health"}, Answers(), b"")
        self.fenced = Fenced(running_selector(), Detached(client, b"", gateway, b""), self.machine)
        self._cutter = Cutter(1 << 20)

    async def asked(self, pings: int = 1) -> list[Cut]:
        """Return what the gateway was sent, from its beginning to the ping and all polls."""
        cuts: list[Cut] = []

        def all_of_it() -> bool:
            try:
                data = self.gateway.recv(65536)
            except BlockingIOError:
                data = b""
            cuts.extend(cut for cut in self._cutter.feed(data) if isinstance(cut, Cut))
            return sum(cut.opcode == PING for cut in cuts) == pings and not self._cutter.rest()

        await eventually(all_of_it, WAIT, "the ping has come")
        return cuts

    def answer(self, cuts: list[Cut]) -> None:
        """Answer all of it, as a gateway does."""
        for cut in cuts:
            if cut.opcode == PING:
                self.gateway.send(Frame(Opcode.PONG, cut.payload).serialize(mask=False))
            elif (found := re.search(rb'"id":"([^"]*)"', cut.payload)) is not None:
                reply = {"type": "res", "id": found[1].decode(), "ok": True, "payload": {"fine": True}}
                self.gateway.send(Frame(Opcode.TEXT, json.dumps(reply).encode()).serialize(mask=False))

    def close(self) -> None:
        self.fenced.close()
        self.client.close()
        self.gateway.close()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(1 << 20)
    except BlockingIOError:
        return b""


async def test_the_gateway_answers_and_its_answers_are_not_the_clients(ends: Ends) -> None:
    probing = asyncio.ensure_future(probe([ends.fenced]))
    ends.answer(await ends.asked())
    assert await asyncio.wait_for(probing, WAIT)
    assert ends.fenced.parkable
    assert received(ends.client) == b""
    found = ends.machine.answers.answer(b"[]", "health", b"{}", "1")
    assert found is not None
    assert json.loads(found)["payload"] == {"fine": True}


async def test_a_gateway_that_goes_has_taken_nothing(ends: Ends) -> None:
    probing = asyncio.ensure_future(probe([ends.fenced]))
    await ends.asked()
    ends.gateway.close()
    assert not await asyncio.wait_for(probing, WAIT)
    assert ends.fenced.gateway_gone


async def test_nobody_to_ask(ends: Ends) -> None:
    assert await probe([])


async def test_a_client_that_takes_nothing_gets_all_of_it_in_order_later(ends: Ends) -> None:
    message = bytes(range(256)) * 1024
    frame = Frame(Opcode.BINARY, message).serialize(mask=False)
    sent, got = bytearray(), bytearray()

    def send() -> bool:
        try:
            while len(sent) < ROOM:
                rest = frame[len(sent) % len(frame) :]
                sent.extend(rest[: ends.gateway.send(rest)])
        except BlockingIOError:
            return True
        return False

    await eventually(send, WAIT)
    # Nobody reads the client's side: in the end the gateway finds no room either, and nothing piles up here.
    for _ in range(100):
        await asyncio.sleep(0)
        send()
    assert len(sent) < ROOM
    assert not ends.fenced.parkable

    def all_of_it() -> bool:
        got.extend(received(ends.client))
        if len(sent) % len(frame):
            send_rest()
        return len(got) == len(sent) and len(sent) % len(frame) == 0

    def send_rest() -> None:
        rest = frame[len(sent) % len(frame) :]
        try:
            sent.extend(rest[: ends.gateway.send(rest)])
        except BlockingIOError:
            return

    await eventually(all_of_it, WAIT)
    assert bytes(got) == bytes(sent)
    await eventually(lambda: ends.fenced.parkable, WAIT)


async def test_reopened_it_goes_on_where_it_was(ends: Ends) -> None:
    probing = asyncio.ensure_future(probe([ends.fenced]))
    ends.answer(await ends.asked())
    assert await asyncio.wait_for(probing, WAIT)
    joined = await ends.fenced.reopen()
    assert joined is not None
    client, gateway, to_client, to_gateway = joined
    assert (to_client, to_gateway) == (b"", b"")
    ends.gateway.send(b"to the relay")
    await asyncio.sleep(0)
    assert await eventually(lambda: received(gateway), WAIT) == b"to the relay"
    client.close()
    gateway.close()


async def test_nothing_of_it_is_left_for_the_garbage_collector() -> None:
    """A thousand are parked at once: what waits for a collection then makes the heap grow for good."""
    gc.collect()
    gc.disable()
    try:
        one = Ends()
        probing = asyncio.ensure_future(probe([one.fenced]))
        one.answer(await one.asked())
        assert await asyncio.wait_for(probing, WAIT)
        await one.fenced.finish()
        one.fenced.take_client(b"").close()
        one.client.close()
        one.gateway.close()
        del one, probing
        await eventually(lambda: not any(isinstance(each, Fenced) for each in gc.get_objects()), WAIT)
    finally:
        gc.enable()
