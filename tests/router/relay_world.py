"""A client and a gateway on real TCP sockets, with the relay between them."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

from websockets.frames import Close, Frame, Opcode

from tenant_router.loop import running_selector
from tenant_router.relay.follow import request_method
from tenant_router.relay.pair import Pair
from tenant_router.relay.selector import RelaySelector

WAIT = 10.0
QUIET = 0.05


def text(payload: bytes, mask: bool = False) -> bytes:
    return Frame(Opcode.TEXT, payload).serialize(mask=mask)


def goodbye(code: int, mask: bool = False) -> bytes:
    return Frame(Opcode.CLOSE, Close(code, "bye").serialize()).serialize(mask=mask)


async def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    for sock in (far, near):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return far, near


@dataclass
class World:
    """A client and a gateway (the far ends), and the relay between them."""

    selector: RelaySelector
    client: socket.socket
    gateway: socket.socket
    pair: Pair = field(init=False)
    closed: list[Pair] = field(default_factory=list)
    methods: list[str | None] = field(default_factory=list)
    enough: int = 1

    async def send(self, sock: socket.socket, data: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, data), WAIT)

    async def read(self, sock: socket.socket, size: int) -> bytes:
        """Read exactly so many bytes, fewer at the end of the stream."""
        parts, left = [], size
        while left and (data := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, left), WAIT)):
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    async def quiet(self, sock: socket.socket) -> bool:
        """Whether nothing comes within a moment."""
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1), QUIET)
        except TimeoutError:
            return True
        return False


async def make_world(to_client: bytes = b"", to_gateway: bytes = b"") -> World:
    selector = running_selector()
    client, client_near = await tcp_pair()
    gateway, gateway_near = await tcp_pair()
    world = World(selector, client, gateway)

    def on_request(beginning: bytes) -> bool:
        world.methods.append(request_method(beginning))
        return len(world.methods) >= world.enough

    world.pair = selector.relay(client_near, gateway_near, to_client, to_gateway, world.closed.append, on_request)
    return world
