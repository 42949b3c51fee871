"""A connection that was lifted out of the relay and still has its gateway: its requests wait in the kernel."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from ..relay.pair import Detached
from ..relay.selector import RelaySelector
from ..wire import Wire
from .machine import Machine, Phase

PROBE = 3.0
"""Seconds for a gateway to answer a ping and the polls; an idle one takes milliseconds, upstream's some hundred."""
LAST = 1.0
"""Seconds for the rest of a message that a gateway had begun when it became ready to sleep."""


class Fenced:
    """Both sockets of a client and its gateway, and a task that passes on what the gateway sends."""

    def __init__(self, selector: RelaySelector, detached: Detached, machine: Machine) -> None:
        assert detached.gateway is not None
        self.machine = machine
        self._client = Wire(selector, detached.sock)
        self._gateway = Wire(selector, detached.gateway)
        self._to_client = machine.from_gateway(detached.gateway_received)
        self.client_gone = False
        self.gateway_gone = False
        self._heard = asyncio.Event()
        self._pump = asyncio.get_running_loop().create_task(self._pass_on(), name="fenced connection")

    async def _pass_on(self) -> None:
        while True:
            await self._flush()
            try:
                data = await self._gateway.recv()
            except OSError:
                self.gateway_gone = True
                self._heard.set()
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._to_client += self.machine.from_gateway(data)
        self._heard.set()

    async def _flush(self) -> None:
        """Send what the client has yet to get; being cancelled loses nothing of it."""
        while self._to_client and not self.client_gone:
            try:
                sent = self._client.sock.send(self._to_client)
            except BlockingIOError:
                await self._client.writable()
            except OSError:
                self.client_gone = True
            else:
                self._to_client = self._to_client[sent:]

    async def probe(self) -> bool:
        """See that the gateway has taken all that was sent to it, and learn what it answers to the client's polls.

        False: it did not answer in time.
        """
        machine = self.machine
        try:
            async with asyncio.timeout(PROBE):
                await self._gateway.send(machine.barrier() + machine.ask_polls())
                while not self.gateway_gone and (machine.ponged < machine.barriers or machine.waiting):
                    self._heard.clear()
                    await self._heard.wait()
        except (TimeoutError, OSError):
            # Not every poll may be answered by this gateway; the ping must be.
            return machine.ponged == machine.barriers
        return not self.gateway_gone

    @property
    def waiting(self) -> bool:
        """The client has sent something since."""
        if self.machine.held:
            return True
        try:
            return bool(self._client.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    async def finish(self) -> None:
        """Pass on the last that the gateway said before it was ready to sleep: all of that is in the kernel by now."""
        await self._stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                try:
                    while not self.gateway_gone:
                        try:
                            data = self._gateway.sock.recv(65536)
                        except BlockingIOError:
                            if self.machine.boundary:
                                break
                            data = await self._gateway.recv()
                        if not data:
                            break
                        self._take(data)
                except OSError:
                    self.gateway_gone = True
                await self._flush()

    async def _stop(self) -> None:
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)

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
        await self._stop()
        try:
            async with asyncio.timeout(LAST):
                await self._flush()
                while not self.machine.divisible:
                    self._take(await self._gateway.recv())
                    await self._flush()
        except (TimeoutError, OSError):
            self.client_gone = True
        if self.client_gone:
            await self.close()
            return None
        to_client, to_gateway = self.machine.reopen()
        return self._client.release(), self._gateway.release(), to_client, to_gateway

    async def close(self) -> None:
        """Close both."""
        await self._stop()
        self._client.close()
        self._gateway.close()
