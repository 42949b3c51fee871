"""How relayed connections end, on real TCP sockets: half-closes, resets, goodbyes and their deadlines."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator
from functools import partial

import pytest
from relay_world import QUIET, WAIT, World, goodbye, make_world, text

from deadlines import eventually
from tenant_router.relay import pairs
from tenant_router.relay.pair import Side


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = await make_world()
    yield world
    world.client.close()
    world.gateway.close()
    world.selector.drop_pair(world.pair)


async def test_a_half_close_is_passed_on_behind_what_is_pending(world: World) -> None:
    data = text(bytes(8 << 20))
    sender = asyncio.create_task(world.send(world.gateway, data))
    await eventually(lambda: world.pair.client.pending, WAIT)
    reader = asyncio.create_task(world.read(world.client, len(data) + 1))
    await sender
    world.gateway.shutdown(socket.SHUT_WR)
    assert len(await reader) == len(data)
    await world.send(world.client, b"still")
    assert await world.read(world.gateway, 5) == b"still"
    world.client.shutdown(socket.SHUT_WR)
    assert await world.read(world.gateway, 1) == b""
    assert world.closed == [world.pair]


async def test_a_reset_reaches_the_other_side_as_an_end(world: World) -> None:
    world.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    world.client.close()
    assert await world.read(world.gateway, 1) == b""
    await world.send(world.gateway, text(b"nobody reads this"))
    world.gateway.close()
    await eventually(lambda: world.closed, WAIT)


@pytest.mark.parametrize("careful", [False, True])
async def test_a_half_closed_pair_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch, careful: bool) -> None:
    if careful:  # an insertion waits, so the gateway's side is not watched as a flowing one is
        await world.send(world.gateway, text(b"half")[:3])
        await world.read(world.client, 3)
        world.selector.inject(world.pair.client, text(b"tick"))
    world.gateway.shutdown(socket.SHUT_WR)
    assert await world.read(world.client, 1) == b""
    world.client.shutdown(socket.SHUT_RDWR)
    events = []
    monkeypatch.setattr(pairs.Pairs, "event", lambda _self, side, mask: events.append((side, mask)))
    world.gateway.close()
    await asyncio.sleep(QUIET)
    assert len(events) < 5


async def test_a_client_that_ended_first_still_hears_goodbye_and_end(world: World) -> None:
    world.client.shutdown(socket.SHUT_WR)
    assert await world.read(world.gateway, 1) == b""
    world.selector.close_pair(world.pair, goodbye(1012), goodbye(1000, mask=True), WAIT)
    assert await world.read(world.client, 100) == goodbye(1012)


async def test_a_silent_half_closed_pair_is_dropped_in_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "LINGER", 0.05)
    world.client.shutdown(socket.SHUT_WR)
    assert await world.read(world.gateway, 1) == b""

    def gone() -> bool:
        world.selector.sweep()
        return bool(world.closed)

    await eventually(gone, WAIT)


async def test_goodbye_comes_between_messages_and_ends_with_fin(world: World) -> None:
    message = text(b"m" * 1000)
    await world.send(world.gateway, message[:500])
    assert await world.read(world.client, 500) == message[:500]
    world.selector.close_pair(world.pair, text(b"shutdown") + goodbye(1012), goodbye(1000, mask=True), WAIT)
    # What the client still sends is read and dropped: unread input would make our end a reset (trap 6).
    await world.send(world.client, text(b"late" * 1000, mask=True))
    await world.send(world.gateway, message[500:] + text(b"never seen"))
    expected = message[500:] + text(b"shutdown") + goodbye(1012)
    assert await world.read(world.client, len(expected) + 1) == expected
    assert len(await world.read(world.gateway, 100)) == len(goodbye(1000, mask=True))
    world.client.close()
    world.gateway.close()
    await eventually(lambda: world.closed, WAIT)


async def test_a_goodbye_that_nobody_answers_has_a_deadline(world: World) -> None:
    world.selector.close_pair(world.pair, goodbye(1012), goodbye(1000, mask=True), 0.05)

    def gone() -> bool:
        world.selector.sweep()
        return bool(world.closed)

    await eventually(gone, WAIT)
    assert await world.read(world.client, 100) == goodbye(1012)


async def test_a_lost_gateway_is_explained_only_between_messages() -> None:
    for before, explained in ((b"", True), (text(b"x")[:2], False), (goodbye(1000), False)):
        world = await make_world()
        world.selector.say_when_lost(goodbye(1012))
        await world.send(world.gateway, before)
        world.gateway.close()
        assert await world.read(world.client, 100) == before + (goodbye(1012) if explained else b"")
        world.client.close()
        await eventually(partial(len, world.closed), WAIT)
        world.selector.say_when_lost(b"")


def alive() -> int:
    """Relayed sides that are in memory, garbage included."""
    return sum(isinstance(each, Side) for each in gc.get_objects())


@pytest.mark.parametrize("lifted", [False, True])
async def test_what_is_over_does_not_wait_for_the_garbage_collector(lifted: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        before = alive()
        world = await make_world()
        assert alive() == before + 2
        if lifted:
            detached = await asyncio.wait_for(world.selector.lift(world.pair), WAIT)
            assert detached.gateway is not None
            detached.sock.close()
            detached.gateway.close()
        else:
            await world.send(world.client, goodbye(1000, mask=True))
        world.client.close()
        world.gateway.close()
        closed = world.closed
        await eventually(lambda: lifted or closed, WAIT)
        closed.clear()
        del world
        await eventually(lambda: alive() == before, WAIT)
    finally:
        gc.enable()
