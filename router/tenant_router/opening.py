"""A connection whose handshake is not over: what it waits for, until when, and how it ends."""

from __future__ import annotations

import asyncio
import time

from openclaw_protocol.connect import ConnectRequest
from openclaw_protocol.rejections import GatewayStarting, HandshakeTimeout

from .head import BadHead
from .messages import MessageReader
from .settings import OPENING_TIMEOUT


class ClientLeft(Exception):
    """The client closed while it was being held."""


class Opening:
    """State of one handshake, in its task and in the server's sweep.

    One sweep over a table is a tenth of the cost of a timer per connection (data-plane, stretch goals).
    """

    __slots__ = ("_why", "deadline", "reader", "request", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.deadline = time.monotonic() + OPENING_TIMEOUT
        """When `expire` is due (time.monotonic)."""
        self.reader: MessageReader | None = None
        """There once the upgrade was answered."""
        self.request: ConnectRequest | None = None
        """There once the client said `connect`."""
        self._why: Exception | None = None

    def expire(self) -> None:
        """End it as its phase asks: 408 before the upgrade, silence (1000) before `connect`, "not yet" after it."""
        if self.reader is None:
            self.end(BadHead(408, "Request Timeout"))
        elif self.request is None:
            self.end(HandshakeTimeout())
        else:
            self.end(GatewayStarting())

    def left(self, watch: asyncio.Future[None]) -> None:
        """End it because the client is gone (callback of `Wire.left`)."""
        if not watch.cancelled():
            self.end(ClientLeft())

    def end(self, why: Exception) -> None:
        """Cancel the task; it finds `why` by `ended_by`."""
        self.deadline = float("inf")
        if self.task is not None and self._why is None and not self.task.done():
            self._why = why
            self.task.cancel()

    def ended_by(self) -> Exception | None:
        """Return why `end` cancelled the current task, and take the cancellation back; None: somebody else cancelled it."""
        task = asyncio.current_task()
        if self._why is None or task is None or task.uncancel() > 0:
            return None
        return self._why
