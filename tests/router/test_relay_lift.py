"""Connections that are taken out of the relay with both their sockets, and clients that outlive their gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from relay_world import WAIT, World, make_world, text

from deadlines import eventually
from tenant_router.relay.pair import Detached, Pair


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = await make_world()
    yield world
    world.client.close()
    world.gateway.close()
    world.selector.drop_pair(world.pair)


async def test_a_lifted_connection_goes_on_where_it_was(world: World) -> None:
    request, following = text(b"r" * 200, mask=True), text(b"n" * 200, mask=True)
    answer, event = text(b"a" * 300), text(b"e" * 300)
    await world.send(world.client, request[:100])
    await world.send(world.gateway, answer[:100])
    await world.read(world.gateway, 100)
    await world.read(world.client, 100)
    lifting = world.selector.lift(world.pair)
    await world.send(world.gateway, answer[100:] + event[:50])
    assert await world.read(world.client, len(answer) - 100) == answer[100:]
    assert not lifting.done()
    await world.send(world.client, request[100:] + following[:50])
    lifted = await asyncio.wait_for(lifting, WAIT)
    assert await world.read(world.gateway, len(request) - 100) == request[100:]
    assert (lifted.received, lifted.gateway_received) == (following[:50], event[:50])
    assert not world.closed
    assert lifted.gateway is not None
    assert world.pair not in list(world.selector.pairs())

    # What comes meanwhile waits in the kernel.
    await world.send(world.client, following[50:])
    await world.send(world.gateway, event[50:])
    assert await world.quiet(world.client)
    world.pair = world.selector.relay(lifted.sock, lifted.gateway, lifted.gateway_received, lifted.received)
    assert await world.read(world.gateway, len(following)) == following
    assert await world.read(world.client, len(event)) == event


async def test_a_lift_that_is_cancelled_loses_nothing(world: World) -> None:
    await world.send(world.client, text(b"q", mask=True)[:3])
    await world.read(world.gateway, 3)
    lifting = world.selector.lift(world.pair)
    await world.send(world.gateway, text(b"held"))
    assert await world.quiet(world.client)
    lifting.cancel()
    assert await world.read(world.client, 6) == text(b"held")


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_outlives_its_gateway_when_somebody_takes_it(world: World, reset: bool) -> None:
    taken: list[Detached] = []
    asked: list[Pair] = []

    def keep(pair: Pair) -> Callable[[Detached], None]:
        asked.append(pair)
        return taken.append

    world.selector.say_when_lost(text(b"shutdown"))
    world.selector.keep_when_lost(keep)
    if reset:
        world.gateway.setsockopt(1, 13, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # SO_LINGER 0: RST instead of FIN
    world.gateway.close()
    await eventually(lambda: taken, WAIT, "it is taken")
    assert asked == [world.pair]
    assert await world.quiet(world.client)
    assert not world.closed
    await world.send(world.client, b"later")
    assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(taken[0].sock, 10), WAIT) == b"later"
    taken[0].sock.close()
    world.selector.keep_when_lost(lambda pair: None)


async def test_a_client_in_the_middle_of_a_message_hears_of_the_loss(world: World) -> None:
    world.selector.say_when_lost(text(b"shutdown"))
    world.selector.keep_when_lost(lambda pair: lambda detached: None)
    await world.send(world.client, text(b"half a request", mask=True)[:9])
    await world.read(world.gateway, 9)
    world.gateway.close()
    assert await world.read(world.client, 10) == text(b"shutdown")
    world.selector.keep_when_lost(lambda pair: None)
