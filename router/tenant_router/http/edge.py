"""What every answer of the public port passes on its way out: upstream's baseline headers, and a quiet end when it is cut."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .running import RUNNING, RunningRequest

ABORT = "abort"
"""Where a scope's `state` has what drops its connection at once."""

BASELINE = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(), microphone=(self), geolocation=()",
}
"""Headers of every HTTP answer of upstream's gateway, errors included, seen on 2026.9.6."""


class Edge:
    """Wraps the ASGI app. Answers keep those of the headers that they bring."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.closing = False
        """Whether requests are being cancelled, which is then no error to log."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def headed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = list(message["headers"])
                there = {name.lower() for name, _ in headers}
                message = {**message, "headers": headers + [one for one in BASELINE.items() if one[0] not in there]}
            await send(message)

        until = asyncio.timeout(None)
        running = scope[RUNNING] = RunningRequest(until)
        try:
            async with until:
                await self._app(scope, receive, headed)
        except TimeoutError:
            if not until.expired():
                raise
            # Its token stopped working (`Requests.revoke`).
            if not begun and running.refusal is not None:
                await running.refusal(scope, receive, headed)
                return
            # An end in good order would pass for the whole answer.
            scope["state"][ABORT]()
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            # uvicorn would log a traceback; its connection has been aborted already.
            if not self.closing:
                raise
        finally:
            running.left()
