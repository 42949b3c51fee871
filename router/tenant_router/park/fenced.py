"""A connection that was lifted out of the relay and still has its gateway: its requests wait in the kernel.

It has no task: a thousand connections may be fenced at once, and what each takes then stays in the heap for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Collection

from ..relay.pair import Detached
from ..relay.selector import RelaySelector
from ..wire import Wire
from .machine import Machine, Phase

PROBE = 3.0
"""Seconds for a gateway to answer a ping and the polls; an idle one takes milliseconds, upstream's some hundred."""
LAST = 1.0
"""Seconds for the rest of a message that a gateway had begun when it became ready to sleep."""
READ = 64 * 1024
"""Bytes read at once."""


class Fenced:
    """Both sockets of a client and its gateway; passes on what the gateway sends until it is stopped."""

    __slots__ = (
        "_client",
        "_gateway",
        "_probed",
        "_selector",
        "_stopped",
        "_to_client",
        "_to_gateway",
        "client_gone",
        "gateway_gone",
        "machine",
    )

    def __init__(self, selector: RelaySelector, detached: Detached, machine: Machine) -> None:
        assert detached.gateway is not None
        self.machine = machine
        self._selector = selector
        self._client = Wire(selector, detached.sock)
        self._gateway = Wire(selector, detached.gateway)
        self._to_client = machine.from_gateway(detached.gateway_received)
        self._to_gateway = b""
        """What of our own requests found no room."""
        self._probed: asyncio.Future[None] | None = None
        """Done when the gateway has answered `ask`, or is gone."""
        self._stopped = False
        self.client_gone = False
        self.gateway_gone = False
        self._go_on()

    # Passing on, without a task

    def _go_on(self) -> None:
        """Send what can be sent, and wait for what comes next. A client that takes nothing keeps its gateway unread."""
        self._flush()
        if self._to_client:
            self._client.writable().add_done_callback(self._ready)
        if not self.gateway_gone and (events := self._events()):
            self._selector.watch(self._gateway.sock, events).add_done_callback(self._ready)

    def _events(self) -> int:
        return (0 if self._to_client else select.EPOLLIN) | (select.EPOLLOUT if self._to_gateway else 0)

    def _ready(self, watch: asyncio.Future[None]) -> None:
        if watch.cancelled() or self._stopped:
            return
        self._flush()
        if not self._to_client and not self.gateway_gone:
            self._read()
        self._go_on()

    def _read(self) -> None:
        try:
            data = self._gateway.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self.gateway_gone = True
            self._hear()

    def _take(self, data: bytes) -> None:
        self._to_client += self.machine.from_gateway(data)
        self._hear()

    def _flush(self) -> None:
        """Send what the client has yet to get, and the gateway of ours, as far as there is room."""
        if self._to_client:
            try:
                self._to_client = self._to_client[self._client.sock.send(self._to_client) :]
            except BlockingIOError:
                pass
            except OSError:
                self.client_gone = True
        if self.client_gone:
            self._to_client = b""
        if self._to_gateway:
            try:
                self._to_gateway = self._to_gateway[self._gateway.sock.send(self._to_gateway) :]
            except BlockingIOError:
                pass
            except OSError:
                self.gateway_gone = True
                self._to_gateway = b""
                self._hear()

    async def _flush_all(self) -> None:
        while True:
            self._flush()
            if self._to_client:
                await self._client.writable()
            elif self._to_gateway:
                await self._gateway.writable()
            else:
                return

    # Asking

    def ask(self) -> asyncio.Future[None]:
        """Begin to see that the gateway has taken all that was sent to it, and to learn what it answers to the client's polls.

        Done when it has answered, or is gone: `taken` says which.
        """
        self._probed = asyncio.get_running_loop().create_future()
        self._to_gateway += self.machine.barrier() + self.machine.ask_polls()
        self._go_on()
        self._hear()
        return self._probed

    def _hear(self) -> None:
        machine = self.machine
        if (
            self._probed is not None
            and not self._probed.done()
            and (self.gateway_gone or (machine.ponged == machine.barriers and not machine.waiting))
        ):
            self._probed.set_result(None)

    @property
    def taken(self) -> bool:
        """The gateway has taken what was sent to it before `ask`. Not every poll may be answered by it; the ping must be."""
        return not self.gateway_gone and self.machine.ponged == self.machine.barriers

    @property
    def waiting(self) -> bool:
        """The client has sent something since."""
        if self.machine.held:
            return True
        try:
            return bool(self._client.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    # The end

    async def finish(self) -> None:
        """Pass on the last that the gateway said before it was ready to sleep: all of that is in the kernel by now."""
        self._stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                try:
                    while not self.gateway_gone:
                        try:
                            data = self._gateway.sock.recv(READ)
                        except BlockingIOError:
                            if self.machine.boundary:
                                break
                            data = await self._gateway.recv()
                        if not data:
                            break
                        self._take(data)
                except OSError:
                    self.gateway_gone = True
                await self._flush_all()

    def _stop(self) -> None:
        """Pass on nothing more by itself. What the watches keep, they let go of when the sockets are released or closed."""
        self._stopped = True

    @property
    def parkable(self) -> bool:
        """The client stands between two messages and is there."""
        return not self.client_gone and not self._to_client and self.machine.phase is not Phase.CLOSED

    def take_client(self, goodbye: bytes) -> socket.socket:
        """Say goodbye to the gateway; return the client's socket, out of the selector."""
        with contextlib.suppress(OSError):
            self._gateway.sock.send(goodbye)
            self._gateway.sock.shutdown(socket.SHUT_WR)
        self._gateway.close()
        return self._client.release()

    async def reopen(self) -> tuple[socket.socket, socket.socket, bytes, bytes] | None:
        """Return both sockets and what relaying them goes on with: bytes to the client, bytes to the gateway.

        None: a message was on its way that did not end, or nobody took it; both are closed.
        """
        self._stop()
        try:
            async with asyncio.timeout(LAST):
                await self._flush_all()
                while not self.machine.divisible:
                    self._take(await self._gateway.recv())
                    await self._flush_all()
        except (TimeoutError, OSError):
            self.client_gone = True
        if self.client_gone:
            self.close()
            return None
        to_client, to_gateway = self.machine.reopen()
        return self._client.release(), self._gateway.release(), to_client, to_gateway

    def close(self) -> None:
        """Close both."""
        self._stop()
        self._client.close()
        self._gateway.close()


async def probe(connections: Collection[Fenced]) -> bool:
    """Ask on all of them; tell whether the gateway has taken what came on each. False: it did not answer in time."""
    asked = [one.ask() for one in connections]
    if asked:
        await asyncio.wait(asked, timeout=PROBE)
    return all(one.taken for one in connections)
