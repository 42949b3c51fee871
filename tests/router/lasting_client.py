"""A client that stays, by the rules of upstream's own (`@openclaw/gateway-client`): what it does when it is disconnected, and
what its user sees of that.

Silent are only a 1012 with nothing in flight, and "not yet" before the hello. It connects anew after 1, 2, 4 … 30 s, from the
beginning after each hello; what was in flight at a close is rejected, not sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

HELLO = 15.0
"""Seconds for the challenge, and for the hello."""
ANSWER = 30.0
"""Seconds for an answer."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class NotYet(Exception):
    """The gateway is starting; try again after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Lost(Exception):
    """The connection ended before the answer."""


class LastingClient:
    """One client with a session of its own."""

    def __init__(self, url: str, token: str, name: str) -> None:
        self._url = url
        self._token = token
        self.session = f"agent:main:{name}"
        self.hellos: list[float] = []
        """When it was greeted (time.monotonic)."""
        self.shown: list[str] = []
        """What its user saw of trouble."""
        self.acknowledged: list[str] = []
        """Messages that a gateway said it has."""
        self._ws: ClientConnection | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._turns: dict[str, asyncio.Future[str]] = {}
        self._connected = asyncio.Event()
        self._task = asyncio.create_task(self._stay(), name=f"client {name}")

    @property
    def reconnects(self) -> int:
        return len(self.hellos) - 1

    async def connected(self) -> None:
        """Wait until it is, however long its tenant's wake takes on a machine that does much else."""
        async with asyncio.timeout(4 * ANSWER):
            await self._connected.wait()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the payload of an answer. Raises Lost; anything else that is no answer is shown and raised."""
        await self.connected()
        try:
            async with asyncio.timeout(ANSWER):
                answer = await self._request(method, params)
        except Lost as lost:
            self.shown.append(f"{method}: {lost}")
            raise
        if not answer["ok"]:
            self.shown.append(f"{method}: {answer['error']}")
            raise AssertionError(self.shown[-1])
        payload: dict[str, Any] = answer["payload"]
        return payload

    async def say(self, message: str) -> asyncio.Future[str]:
        """Send a message until it is acknowledged; return where the reply will be."""
        run = str(uuid.uuid4())
        self._turns[run] = asyncio.get_running_loop().create_future()
        while True:
            with contextlib.suppress(Lost):
                await self.call("chat.send", sessionKey=self.session, message=message, idempotencyKey=run)
                self.acknowledged.append(message)
                return self._turns[run]

    async def talk(self, message: str) -> str:
        """Send a message and return the reply."""
        reply = await self.say(message)
        async with asyncio.timeout(2 * ANSWER):
            return await reply

    async def told(self) -> list[str]:
        """Return the user's messages of the transcript."""
        history = await self.call("chat.history", sessionKey=self.session, limit=1000)
        return [_text(one.get("content")) for one in history["messages"] if one["role"] == "user"]

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._ws is not None:
            await self._ws.close()

    async def _stay(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(2 * HELLO):
                    await self._connect()
            except NotYet as not_yet:
                await asyncio.sleep(not_yet.seconds)
                continue
            except (OSError, InvalidHandshake, ConnectionClosed) as error:  # TimeoutError too
                self.shown.append(f"connect: {type(error).__name__} {error}")
            else:
                pause = FIRST_PAUSE
                await self._read()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _connect(self) -> None:
        self._ws = await connect(self._url, compression=None, ping_interval=None, max_size=None, open_timeout=HELLO)
        assert json.loads(await self._ws.recv())["event"] == "connect.challenge"
        params = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": "openclaw-tui", "version": "2026.9.6", "platform": "linux", "mode": "ui"},
            "role": "operator",
            "scopes": ["operator.admin", "operator.read", "operator.write"],
            "auth": {"token": self._token},
        }
        await self._ws.send(json.dumps({"type": "req", "id": "connect", "method": "connect", "params": params}))
        frame = json.loads(await self._ws.recv())
        if not frame["ok"]:
            await self._ws.close()
            error = frame["error"]
            if error.get("retryable"):
                raise NotYet(min(max((error.get("retryAfterMs") or 500) / 1000, 0.1), 2.0))
            raise OSError(str(error))
        self.hellos.append(time.monotonic())
        self._connected.set()

    async def _request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert self._ws is not None
        wanted = str(uuid.uuid4())
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[wanted] = future
        try:
            await self._ws.send(json.dumps({"type": "req", "id": wanted, "method": method, "params": params}))
            return await future
        except ConnectionClosed as closed:
            raise Lost(str(closed)) from None
        finally:
            self._waiting.pop(wanted, None)

    async def _read(self) -> None:
        assert self._ws is not None
        try:
            async for message in self._ws:
                self._heard(json.loads(message))
        except ConnectionClosed:
            pass
        self._connected.clear()
        code = self._ws.close_code
        if code != 1012:
            self.shown.append(f"closed: {code} {self._ws.close_reason}")
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Lost(f"gateway closed ({code})"))
        torn = [run for run, turn in self._turns.items() if not turn.done()]
        if torn:
            self.shown.append(f"closed ({code}) in {len(torn)} turns")

    def _heard(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "res":
            future = self._waiting.get(frame["id"])
            if future is not None and not future.done():
                future.set_result(frame)
        elif frame["event"] == "chat" and (turn := self._turns.get(frame["payload"].get("runId"))) is not None:
            if frame["payload"]["state"] == "final":
                turn.set_result(_text(frame["payload"]["message"]["content"]))
            elif frame["payload"]["state"] in ("error", "aborted"):
                self.shown.append(f"the turn ended: {frame['payload']}")
                turn.set_result("")


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content or ())
