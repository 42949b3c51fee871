"""The router's own connection to a gateway, for what it asks on nobody's behalf."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from websockets.protocol import Side

from openclaw_protocol.connect import parse_connect
from openclaw_protocol.errors import ErrorShape
from openclaw_protocol.frames import request
from openclaw_protocol.rejections import PROTOCOL_VERSION

from ..fleet import GatewayAddress
from ..leg import MAX_HELLO, NotYet, Refused, Unreachable, greet, next_message
from ..messages import Closed, MessageReader
from ..origin import SOMEBODY, ClientOrigin
from ..relay.selector import RelaySelector
from ..wire import Wire

ANSWER: Final = 5.0
"""Seconds for one answer of a gateway that has nothing to do."""
_LOGIN: Final = {
    "type": "req",
    "id": "control",
    "method": "connect",
    "params": {
        "minProtocol": PROTOCOL_VERSION,
        "maxProtocol": PROTOCOL_VERSION,
        "client": {
            "id": "gateway-client",
            "displayName": "openclaw-tenancy router",
            "version": "1",
            "platform": "linux",
            "mode": "backend",
        },
        "role": "operator",
        "scopes": ["operator.admin", "operator.read"],
    },
}
_ORIGIN: Final = ClientOrigin(SOMEBODY, "http", "router", loopback=False)


class ControlFailed(Exception):
    """The gateway could not be asked, or refused the question; the text says why."""


class _Answer(msgspec.Struct):
    type: str
    id: str = ""
    ok: bool = False
    payload: Any = None
    error: ErrorShape | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class Control:
    """One such connection."""

    def __init__(self, wire: Wire, reader: MessageReader) -> None:
        self._wire = wire
        self._reader = reader
        self._count = 0

    async def call(self, method: str, **params: Any) -> Any:
        """Return what a method is answered.

        Raises
        ------
        ControlFailed
            No answer, or a refusal.
        """
        self._count += 1
        wanted = f"control-{self._count}"
        try:
            async with asyncio.timeout(ANSWER):
                await self._wire.send(self._reader.send_text(request(wanted, method, params)))
                while True:
                    answer = _decode(await next_message(self._wire, self._reader))
                    if answer.type == "res" and answer.id == wanted:
                        break
        except TimeoutError:
            raise ControlFailed(f"{method} was not answered within {ANSWER:g} s") from None
        except (OSError, Closed, msgspec.MsgspecError) as error:
            raise ControlFailed(f"{method}: {type(error).__name__}: {error}") from error
        if not answer.ok:
            raise ControlFailed(f"{method}: {answer.error.message if answer.error else 'refused'}")
        return answer.payload

    def close(self) -> None:
        """Close it, with a close frame if there is room for one."""
        with contextlib.suppress(OSError):
            self._wire.sock.send(self._reader.close(1000, ""))
        self._wire.close()


async def control(selector: RelaySelector, address: GatewayAddress) -> Control:
    """Connect to a gateway as the router itself.

    Raises
    ------
    ControlFailed
        It does not let us in.
    """
    try:
        async with asyncio.timeout(ANSWER):
            leg = await greet(selector, address, parse_connect(msgspec.json.encode(_LOGIN)), _ORIGIN, {})
    except (NotYet, Unreachable, Refused, TimeoutError) as error:
        raise ControlFailed(f"{type(error).__name__}: {error}") from error
    return Control(leg.wire, MessageReader(Side.CLIENT, MAX_HELLO, leg.rest))


@asynccontextmanager
async def controlling(selector: RelaySelector, address: GatewayAddress) -> AsyncIterator[Control]:
    """Connect as `control` does, and close at the end."""
    one = await control(selector, address)
    try:
        yield one
    finally:
        one.close()
