"""A socket before it is relayed: whatever comes when nobody waits for it is found by whoever asks next, the relay included."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from relay_world import WAIT, tcp_pair, text

from tenant_router.loop import running_selector
from tenant_router.wire import READ_SIZE, Wire


async def make_wire() -> tuple[Wire, socket.socket]:
    far, near = await tcp_pair()
    return Wire(running_selector(), near), far


async def let_it_arrive() -> None:
    """Loopback delivers within the call; this lets the selector see it."""
    for _ in range(3):
        await asyncio.sleep(0.01)


async def received(wire: Wire) -> bytes:
    return await asyncio.wait_for(wire.recv(), WAIT)


async def test_question_and_answer() -> None:
    wire, far = await make_wire()
    for number in range(3):
        await wire.send(b"question")
        asyncio.get_running_loop().call_later(0.01, far.send, b"answer %d" % number)
        assert await received(wire) == b"answer %d" % number
    wire.close()
    far.close()


async def test_what_came_while_nobody_waited_is_found() -> None:
    wire, far = await make_wire()
    await wire.send(b"first")  # the next `recv` waits before it reads
    far.send(b"1")
    assert await received(wire) == b"1"
    far.send(b"2")
    await let_it_arrive()
    await wire.send(b"second")
    assert await received(wire) == b"2"
    wire.close()
    far.close()


async def test_what_one_read_leaves_is_read_next() -> None:
    wire, far = await make_wire()
    await wire.send(b"question")
    total = 3 * READ_SIZE
    sender = asyncio.create_task(asyncio.get_running_loop().sock_sendall(far, bytes(total)))
    await let_it_arrive()
    seen = 0
    while seen < total:
        seen += len(await received(wire))
        await wire.send(b"more")
    await sender
    wire.close()
    far.close()


async def test_a_cancelled_wait_loses_nothing() -> None:
    wire, far = await make_wire()
    await wire.send(b"question")
    waiting = asyncio.create_task(wire.recv())
    await let_it_arrive()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    far.send(b"answer")
    await let_it_arrive()
    await wire.send(b"again")
    assert await received(wire) == b"answer"
    wire.close()
    far.close()


async def test_an_end_behind_the_last_bytes_is_heard() -> None:
    wire, far = await make_wire()
    await wire.send(b"question")
    far.send(b"answer")
    far.shutdown(socket.SHUT_WR)
    assert await received(wire) == b"answer"
    await wire.send(b"again")
    with pytest.raises(ConnectionResetError):
        await received(wire)
    wire.close()
    far.close()


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("early", [False, True])
async def test_the_relay_goes_on_where_the_wire_stopped(early: bool, ended: bool) -> None:
    client, far_client = await make_wire()
    gateway, far_gateway = await make_wire()
    for wire, far in ((client, far_client), (gateway, far_gateway)):
        await wire.send(b"question")
        far.send(b"answer")
        assert await received(wire) == b"answer"
        assert far.recv(100) == b"question"
    message = text(b"said while neither was waited for", mask=True)
    far_client.send(message)
    if ended:
        far_client.shutdown(socket.SHUT_WR)
    if early:
        await let_it_arrive()
    selector = running_selector()
    pair = selector.relay(client.sock, gateway.sock)
    loop = asyncio.get_running_loop()
    assert await asyncio.wait_for(loop.sock_recv(far_gateway, 1000), WAIT) == message
    if ended:
        assert await asyncio.wait_for(loop.sock_recv(far_gateway, 1), WAIT) == b""
    far_gateway.send(text(b"answer"))
    assert await asyncio.wait_for(loop.sock_recv(far_client, 1000), WAIT) == text(b"answer")
    selector.drop_pair(pair)
    far_client.close()
    far_gateway.close()
