"""The relay on real TCP sockets: nothing lost or reordered, insertions only between messages, clients that move."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from relay_world import WAIT, World, goodbye, make_world, tcp_pair, text
from websockets.frames import Frame, Opcode

from deadlines import eventually
from tenant_router.loop import running_selector
from tenant_router.relay.pairs import READ_SIZE


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = await make_world()
    yield world
    world.client.close()
    world.gateway.close()
    world.selector.drop_pair(world.pair)


async def test_what_was_read_before_comes_first() -> None:
    world = await make_world(to_client=b"\x81\x03hel", to_gateway=text(b"one", mask=True))
    await world.send(world.client, b"two")
    await world.send(world.gateway, b"lo!")
    assert await world.read(world.client, 8) == b"\x81\x03hello!"
    assert (await world.read(world.gateway, 12))[9:] == b"two"
    world.selector.drop_pair(world.pair)
    assert world.closed == [world.pair]


async def test_a_reader_that_stops_stops_the_writer_and_loses_nothing(world: World) -> None:
    message = text(random.Random(1).randbytes(1 << 20))
    total, sent = 64, 0

    async def flood() -> None:
        nonlocal sent
        for _ in range(total):
            await world.send(world.gateway, message)
            sent += 1

    sender = asyncio.create_task(flood())
    before = -1

    def stalled() -> bool:
        nonlocal before
        before, last = sent, before
        return before == last and bool(world.pair.client.pending)

    await eventually(stalled, WAIT)
    assert sent < 32
    assert len(world.pair.client.pending) <= READ_SIZE
    digest = hashlib.sha256()
    for _ in range(total):
        digest.update(await world.read(world.client, len(message)))
    await sender
    assert digest.digest() == hashlib.sha256(message * total).digest()
    assert world.pair.gateway.boundary


async def test_an_insertion_waits_for_the_end_of_the_message(world: World) -> None:
    first, second, put_in = text(b"a" * 300), text(b"b" * 300), text(b"tick")
    await world.send(world.gateway, first[:2])
    assert await world.read(world.client, 2) == first[:2]
    world.selector.inject(world.pair.client, put_in)
    assert await world.quiet(world.client)
    await world.send(world.gateway, first[2:] + second[:100])
    assert await world.read(world.client, len(first) - 2 + len(put_in) + 100) == first[2:] + put_in + second[:100]
    await world.send(world.gateway, second[100:])
    assert await world.read(world.client, len(second) - 100) == second[100:]
    world.selector.inject(world.pair.client, put_in)
    assert await world.read(world.client, len(put_in)) == put_in


async def test_an_insertion_waits_for_the_last_fragment(world: World) -> None:
    parts = [
        Frame(Opcode.TEXT, b"one", fin=False).serialize(mask=False),
        Frame(Opcode.CONT, b"two", fin=True).serialize(mask=False),
    ]
    await world.send(world.gateway, parts[0])
    assert await world.read(world.client, 5) == parts[0]
    world.selector.inject(world.pair.client, text(b"tick"))
    assert await world.quiet(world.client)
    await world.send(world.gateway, parts[1])
    assert await world.read(world.client, 11) == parts[1] + text(b"tick")


async def test_a_lifted_client_goes_on_with_another_gateway(world: World) -> None:
    request, next_request = text(b"r" * 200, mask=True), text(b"n" * 200, mask=True)
    await world.send(world.client, request[:100])
    await world.read(world.gateway, 100)
    lifting = world.selector.lift(world.pair)
    await world.send(world.gateway, text(b"shutdown event"))
    await world.send(world.client, request[100:] + next_request[:50])
    lifted = await asyncio.wait_for(lifting, WAIT)
    assert lifted.gateway is not None
    await asyncio.get_running_loop().sock_sendall(lifted.gateway, goodbye(1000, mask=True))
    lifted.gateway.shutdown(socket.SHUT_WR)
    await world.send(world.gateway, goodbye(1012))
    end = await world.read(world.gateway, 1000)
    assert end[: len(request) - 100] == request[100:]
    assert len(end) - (len(request) - 100) == len(goodbye(1000, mask=True))
    assert lifted.received == next_request[:50]
    assert await world.quiet(world.client)
    assert not world.closed

    gateway, near = await tcp_pair()
    pair = world.selector.relay(lifted.sock, near, text(b"tick"), lifted.received, world.closed.append)
    await world.send(world.client, next_request[50:])
    assert await world.read(gateway, len(next_request)) == next_request
    assert await world.read(world.client, 6) == text(b"tick")
    world.selector.drop_pair(pair)
    assert world.closed == [pair]
    gateway.close()
    lifted.gateway.close()


async def test_a_lift_that_is_cancelled_passes_on_the_answer(world: World) -> None:
    answer = text(b"a" * 100)
    await world.send(world.client, text(b"q", mask=True)[:3])
    await world.read(world.gateway, 3)
    lifting = world.selector.lift(world.pair)
    await world.send(world.gateway, answer)
    assert await world.quiet(world.client)
    lifting.cancel()
    assert await world.read(world.client, len(answer)) == answer
    await world.send(world.client, b"end")
    assert await world.read(world.gateway, 3) == b"end"


async def test_a_lift_fails_when_a_peer_goes(world: World) -> None:
    await world.send(world.client, text(b"q", mask=True)[:3])
    await world.read(world.gateway, 3)
    lifting = world.selector.lift(world.pair)
    world.client.close()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(lifting, WAIT)


async def test_once_enough_was_looked_at_nothing_is_for_a_second(world: World) -> None:
    world.enough = 2

    async def ask(method: bytes) -> None:
        frame = text(b'{"type":"req","id":"1","method":"%s"}' % method, mask=True)
        await world.send(world.client, frame)
        await world.read(world.gateway, len(frame))

    for method in (b"cron.list", b"chat.send", b"chat.history"):
        await ask(method)
    assert world.methods == ["cron.list", "chat.send"]
    world.selector.sweep()
    await ask(b"status")
    assert world.methods == ["cron.list", "chat.send", "status"]


async def test_watching_and_discarding(world: World) -> None:
    far, near = await tcp_pair()
    first = world.selector.watch(near, 1)
    second = world.selector.watch(near, 1)
    assert first.cancelled()
    await world.send(far, b"x")
    await asyncio.wait_for(second, WAIT)
    assert near.recv(1) == b"x"
    world.selector.release(near)
    assert near.fileno() >= 0
    waiting = world.selector.watch(near, 1)
    world.selector.discard(near)
    assert waiting.cancelled()
    assert near.fileno() < 0
    far.close()


async def test_random_traffic_with_insertions_stays_whole_and_in_order(world: World) -> None:
    rnd = random.Random(5)
    sizes = [0, 1, 60, 125, 126, 127, 4096, 65535, 65536, 200_000]

    def stream(mask: bool) -> tuple[bytes, list[bytes]]:
        payloads = [b"%06d" % i + rnd.randbytes(rnd.choice(sizes)) for i in range(150)]
        return b"".join(text(payload, mask) for payload in payloads), payloads

    async def write(sock: socket.socket, data: bytes) -> None:
        at = 0
        while at < len(data):
            step = rnd.choice([1, 3, 7, 100, 5000, 70_000, 300_000])
            await world.send(sock, data[at : at + step])
            at += step
            if rnd.random() < 0.2:
                await asyncio.sleep(0)

    async def messages(sock: socket.socket, count: int, masked: bool) -> list[bytes]:
        """Payloads of whole frames, the inserted ones checked and left out."""
        found: list[bytes] = []
        inserted = 0
        while len(found) < count:
            head = await world.read(sock, 2)
            assert head[0] == 0x81
            assert bool(head[1] & 128) == (masked and head[1] & 127 != 4)
            length = head[1] & 127
            if length >= 126:
                length = int.from_bytes(await world.read(sock, 2 if length == 126 else 8), "big")
            mask = await world.read(sock, 4) if head[1] & 128 else b""
            payload = await world.read(sock, length)
            if payload == b"tick":
                inserted += 1
            elif mask:
                key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
                found.append((int.from_bytes(payload, "big") ^ key).to_bytes(length, "big"))
            else:
                found.append(payload)
        assert inserted > 0
        return found

    async def insert() -> None:
        while True:
            world.selector.inject(world.pair.client, text(b"tick"))
            world.selector.inject(world.pair.gateway, text(b"tick"))
            world.selector.sweep()
            await asyncio.sleep(0.001)

    (down, down_payloads), (up, up_payloads) = stream(False), stream(True)
    inserting = asyncio.create_task(insert())
    got_down, got_up, _, _ = await asyncio.gather(
        messages(world.client, len(down_payloads), False),
        messages(world.gateway, len(up_payloads), True),
        write(world.gateway, down),
        write(world.client, up),
    )
    inserting.cancel()
    assert got_down == down_payloads
    assert got_up == up_payloads


async def test_no_descriptor_is_left() -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))

    before = descriptors()
    for i in range(50):
        world = await make_world()
        await world.send(world.client, text(b"x", mask=True))
        await world.read(world.gateway, 7)
        if i % 2:
            world.client.close()
            await world.read(world.gateway, 1)
            world.gateway.close()
            await eventually(partial(len, world.closed), WAIT)
        else:
            world.selector.drop_pair(world.pair)
            world.client.close()
            world.gateway.close()
    assert descriptors() == before
    assert not list(running_selector().pairs())
