"""The router's own leg to a gateway: dial, upgrade, challenge, its own `connect`, hello (design, step 6)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
from dataclasses import dataclass
from typing import Any

import msgspec
from websockets.protocol import Side
from websockets.utils import accept_key

from openclaw_protocol.connect import ConnectRequest
from openclaw_protocol.device import DeviceKey
from openclaw_protocol.frames import request as request_frame
from openclaw_protocol.hello import restore_hello
from openclaw_protocol.rejections import InvalidFrame

from .fleet import GatewayAddress
from .head import BadHead, read_response
from .messages import Closed, MessageReader
from .origin import ClientOrigin, gateway_headers
from .relay.selector import RelaySelector
from .settings import DIAL_TIMEOUT
from .wire import Wire, tune

REQUEST_ID = "openclaw-tenancy-router"
"""Id of our `connect`; the hello gets the client's own id back before it sees it."""
MAX_HELLO = 25 * 1024 * 1024
"""Upstream's post-auth frame limit; a hello is 16 KB, more with many plugins."""


class NotYet(Exception):
    """The gateway is there but takes no clients yet (its UNAVAILABLE, or it closed while starting)."""


class Unreachable(Exception):
    """Nothing answers at the address, or what answers is no gateway."""


class Refused(Exception):
    """The gateway refused this client for good; its own words are passed on."""

    def __init__(self, response: bytes, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.response = response
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class Leg:
    """An open connection to a gateway, past its hello."""

    wire: Wire
    hello: bytes
    """The hello as the client shall see it (a text message without its frame head)."""
    rest: bytes
    """Bytes that the gateway sent right behind its hello."""


class _ErrorDetails(msgspec.Struct):
    code: str = ""
    retryable: bool = False


class _Answer(msgspec.Struct):
    """As much of a refusal as decides what to do with it."""

    error: _ErrorDetails | None = None


class _ChallengePayload(msgspec.Struct):
    nonce: str
    ts: int


class _ChallengeEvent(msgspec.Struct):
    event: str
    payload: _ChallengePayload


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_challenge = msgspec.json.Decoder(_ChallengeEvent).decode


async def greet(
    selector: RelaySelector,
    address: GatewayAddress,
    client: ConnectRequest,
    origin: ClientOrigin,
    copied: dict[str, str],
) -> Leg:
    """Connect to a gateway on behalf of a client and say hello.

    Parameters
    ----------
    copied
        Headers of the client that the gateway shall see as they are (`Origin`, `User-Agent`).

    Raises
    ------
    NotYet, Unreachable, Refused
        See there.
    """
    sock = socket.socket(
        socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    )
    wire = Wire(selector, sock)
    try:
        tune(sock)
        deadline = wire.abort_after(DIAL_TIMEOUT)
        try:
            wire.connect((address.host, address.port))
            reader = await _upgrade(wire, address, client, origin, copied)
            challenge = _decode_challenge(await next_message(wire, reader)).payload
        finally:
            deadline.cancel()
        await wire.send(reader.send_text(_connect(client, address, challenge)))
        # No deadline of ours: the client's hold ends this, by cancelling it.
        answer = await next_message(wire, reader)
        restored = restore_hello(answer, client.id)
        if restored.ok:
            leg = Leg(wire, restored.frame, reader.rest())
            wire = None  # type: ignore[assignment]  # it is the leg's now
            return leg
        seen = _decode_answer(answer)
        if seen.error is not None and seen.error.code == "UNAVAILABLE" and seen.error.retryable:
            raise NotYet
        code, reason = await _close_of(wire, reader)
        raise Refused(restored.frame, code, reason)
    except TimeoutError:
        raise Unreachable(f"no answer within {DIAL_TIMEOUT:g} s") from None
    except (BadHead, InvalidFrame, msgspec.MsgspecError, OSError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    except Closed:
        raise NotYet from None
    finally:
        if wire is not None:
            wire.close()


async def _upgrade(
    wire: Wire, address: GatewayAddress, client: ConnectRequest, origin: ClientOrigin, copied: dict[str, str]
) -> MessageReader:
    key = base64.b64encode(os.urandom(16)).decode()
    scopes = client.params.scopes if "scopes" in client.params.raw else None
    headers = {**copied, **gateway_headers(origin, address.user, scopes)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    # Always "/": the client's path names nothing of the gateway's, and upstream treats some paths apart.
    await wire.send(
        (
            f"GET / HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
        ).encode("latin-1")
    )
    head, rest = await read_response(wire)
    if head.status == 503:  # upstream's own, once it drains: "Gateway websocket admission closed"
        raise NotYet
    if rest is None or head.status != 101:
        raise BadHead(502, f"the gateway answered the upgrade with status {head.status}")
    if (
        head.headers.get(b"sec-websocket-accept") != accept_key(key).encode()
        or b"sec-websocket-extensions" in head.headers
    ):
        raise BadHead(502, "the gateway's upgrade response is not valid")
    return MessageReader(Side.CLIENT, MAX_HELLO, rest)


async def next_message(wire: Wire, reader: MessageReader) -> bytes:
    """Return the gateway's next message, answering its pings.

    Raises
    ------
    Closed, OSError
        It ended before.
    """
    while True:
        message = reader.next_message()
        if message is not None:
            return message
        if due := reader.to_send():
            await wire.send(due)
        reader.feed(await wire.recv())


async def _close_of(wire: Wire, reader: MessageReader) -> tuple[int, str]:
    """Wait for the close frame that follows a refusal, a second at most."""
    try:
        async with asyncio.timeout(1.0):
            while True:
                await next_message(wire, reader)
    except Closed:
        return reader.close_code, reader.close_reason
    except (OSError, TimeoutError):
        return 1008, "refused by the gateway"


def _connect(client: ConnectRequest, address: GatewayAddress, challenge: _ChallengePayload) -> bytes:
    """Return our `connect`: the client's parameters without its `device` and `auth`."""
    params: dict[str, Any] = {
        name: value for name, value in client.params.raw.items() if name not in ("auth", "device")
    }
    if client.params.role == "node":
        # A node must have a device. It gets one of ours, the same for the same node and tenant, that only this tenant's
        # router can sign for (openclaw-protocol 4.2, row f).
        device = client.params.device.id if client.params.device else client.params.client.id
        key = DeviceKey(hashlib.sha256(f"node|{address.user}|{device}".encode()).digest())
        params["device"] = key.claim(
            client.params.client,
            role="node",
            scopes=client.params.scopes,
            token=None,
            nonce=challenge.nonce,
            signed_at=challenge.ts,
        )
    return request_frame(REQUEST_ID, "connect", params)
