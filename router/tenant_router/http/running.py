"""HTTP requests of tenants while they run: one whose token stops working is cut, as a WebSocket is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Final

from starlette.types import ASGIApp, Scope

from ..fleet import TokenMatch

RUNNING: Final = "tenancy.running"
"""Where a request's scope has its `RunningRequest`."""


class RunningRequest:
    """One request from its head to the end of its answer. Who lets it in says by which token (`Requests.enter`)."""

    def __init__(self, until: asyncio.Timeout) -> None:
        self.until = until
        self.match: TokenMatch | None = None
        self.refusal: ASGIApp | None = None
        """What a client hears whose answer had not begun when it was cut."""
        self.left: Callable[[], None] = lambda: None


class Requests:
    """The running requests by tenant."""

    def __init__(self) -> None:
        self._running: dict[str, set[RunningRequest]] = {}

    def enter(self, scope: Scope, match: TokenMatch, refusal: ASGIApp) -> None:
        """Put a request on the books, until the edge says that it is over."""
        request: RunningRequest = scope[RUNNING]
        request.match, request.refusal = match, refusal
        request.left = lambda: self._leave(match.tenant.key, request)
        self._running.setdefault(match.tenant.key, set()).add(request)

    def _leave(self, key: str, request: RunningRequest) -> None:
        there = self._running.get(key)
        if there is not None:
            there.discard(request)
            if not there:
                del self._running[key]

    def revoke(self, key: str, tokens: Container[str] | None = None) -> None:
        """Cut a tenant's requests, or those of some of its tokens."""
        now = asyncio.get_running_loop().time()
        for request in list(self._running.get(key, ())):
            if tokens is None or (request.match is not None and request.match.token_name in tokens):
                request.left()  # cut once
                request.until.reschedule(now)
