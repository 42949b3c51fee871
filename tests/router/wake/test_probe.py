"""One question to a gateway that is starting."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tenant_router.fleet import GatewayAddress
from tenant_router.loop import running_selector
from tenant_router.wake.probe import probe
from tenant_router.wake.waker import NotListening

RETRANSMISSION = 1.0
"""Seconds until Linux sends a lost SYN again."""


async def test_a_connect_that_hears_nothing_is_given_up_before_the_kernel_would_send_it_again() -> None:
    # A full accept queue drops SYNs, as a network that does not know a new pod yet.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            host, port = full.getsockname()
            begun = time.monotonic()
            with pytest.raises(NotListening):
                await probe(running_selector(), GatewayAddress(host, port, "uid", "user"))
            assert time.monotonic() - begun < RETRANSMISSION / 2
        finally:
            for one in waiting:
                one.close()


async def test_nobody_there_is_heard_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        host, port = closed.getsockname()
    with pytest.raises(NotListening):
        await probe(running_selector(), GatewayAddress(host, port, "uid", "user"))


async def test_it_says_for_whom_it_asks() -> None:
    """Upstream answers 403 to a trusted proxy that names no client, or one of its trusted proxies' addresses."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = b'{"ok":true,"status":"started"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        await probe(running_selector(), GatewayAddress(host, port, "uid", "user"))
    assert b"\r\nX-Forwarded-For: 192.0.2.1\r\n" in heads[0]
