"""The way of a connection, from accept to relay. Reads top to bottom; the numbers are the steps of the design page."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from websockets.protocol import Side
from websockets.utils import accept_key

from openclaw_protocol.challenge import Challenge
from openclaw_protocol.connect import ConnectRequest, parse_connect
from openclaw_protocol.device import verify_device
from openclaw_protocol.rejections import GatewayDraining, RateLimited, Rejection, TokenMismatch, TokenMissing
from tenant_api.tokens import token_digest

from . import entry
from .fleet import GatewayAddress, TenantRecord, TokenMatch, WakeFailed
from .head import BadHead, Head, asks_for_websocket, read_request, subprotocol, switching_protocols, websocket_key
from .leg import Leg, NotYet, Refused, Unreachable, greet
from .messages import Closed, MessageReader, text_frame
from .opening import ClientLeft, Opening
from .origin import ClientOrigin
from .refusals import CannotStart, TenantSuspended, TooManyConnections
from .settings import MAX_FIRST_FRAME
from .wake.hold import hold_budget
from .wire import Wire

if TYPE_CHECKING:
    from .server import Router

log = logging.getLogger(__name__)

AFTER_FAILURE = 1.0
"""Seconds before a held client's wake is tried again after it failed; the fleet's own back-off may say no sooner."""
LASTING = 3.0
"""Seconds for which a client is held in front of what only a person can mend: a tenant's Secret may come just behind it."""
AFTER_NOT_YET = 0.1
"""Seconds before a gateway that said "starting" is asked again."""


async def serve(router: Router, wire: Wire, peer: str, opening: Opening) -> None:
    """Take one accepted socket all the way to the relay, to the HTTP side, or to a refusal."""
    try:
        await _open(router, wire, peer, opening)
    except (BadHead, Rejection, Refused, Closed, OSError) as error:
        await _refuse(router, wire, opening, error)
    except asyncio.CancelledError:
        why = opening.ended_by()
        if why is None:
            wire.close()
            raise
        await _refuse(router, wire, opening, why)


async def _open(router: Router, wire: Wire, peer: str, opening: Opening) -> None:
    # 1. Accept.
    head, raw, behind = await read_request(wire)
    if behind is None or not asks_for_websocket(head):
        opening.deadline = float("inf")  # the HTTP side has its own
        await router.http.adopt(wire.release(), raw)
        return
    accept = switching_protocols(accept_key(websocket_key(head)), subprotocol(head))
    origin = router.origins.of(peer, head.headers)
    challenge = Challenge.new()
    reader = opening.reader = MessageReader(Side.SERVER, MAX_FIRST_FRAME, behind)
    await wire.send(accept + text_frame(challenge.event()))

    # 2. First frame.
    request = opening.request = await _first_request(wire, reader)
    asked = time.monotonic()
    opening.deadline = asked + hold_budget(request.params)
    verify_device(request.params, challenge, int(time.time() * 1000))

    # 3. Find. A stranger never wakes a gateway.
    digest = None if request.params.token is None else token_digest(request.params.token)
    match = _enter(router, request, digest, origin)

    # 4 to 6. Wake, hold, and say hello to the gateway in the client's place.
    await router.suspends.opened(match.tenant.key)
    address = router.awake(match.tenant.key)
    copied = _copied(head)
    with router.live.opening(match.tenant.key):
        leg, uid = await _greet(router, wire, opening, request, match.tenant, address, origin, copied)
    try:
        _still_enters(router, request, digest, match)
    except Rejection:
        leg.wire.close()
        raise

    # 7 and 8. Hello, relay. From here on the selector owns both sockets.
    router.live.relay(
        wire.sock,
        leg.wire.sock,
        to_client=text_frame(leg.hello) + leg.rest,
        # What the client pipelined behind its connect goes on as it came: masked by the client, valid as it is.
        to_gateway=reader.rest(),
        match=match,
        login=router.live.logins.keep(request, origin, copied),
        uid=uid,
        features=router.live.features(match.tenant.key, uid, leg.hello),
    )
    router.metrics.greeted("asleep" if address is None else "awake", time.monotonic() - asked)


async def _first_request(wire: Wire, reader: MessageReader) -> ConnectRequest:
    while True:
        message = reader.next_message()
        if due := reader.to_send():  # pongs
            await wire.send(due)
        if message is not None:
            return parse_connect(message)
        reader.feed(await wire.recv())


def _enter(router: Router, request: ConnectRequest, digest: bytes | None, origin: ClientOrigin) -> TokenMatch:
    """Find the tenant and let it in, or refuse in upstream's words."""
    try:
        match = entry.find(router, digest, origin)
        entry.check(router, match.tenant)
        return match
    except entry.NoToken:
        raise TokenMissing(request.params.client) from None
    except entry.Stranger:
        raise TokenMismatch(request.params.client) from None
    except (entry.LockedOut, entry.TooOften) as denied:
        raise RateLimited(int(denied.seconds * 1000)) from None
    except entry.Draining:
        raise GatewayDraining("gateway-restarting") from None
    except entry.Suspended:
        raise TenantSuspended from None
    except entry.TooMany as denied:
        raise TooManyConnections(denied.limit) from None


def _still_enters(router: Router, request: ConnectRequest, digest: bytes | None, match: TokenMatch) -> None:
    """Refuse who was let in, if its token was taken away while it was held: only what is relayed hears of that."""
    now = entry.holder(router, digest)
    if now is None or now.tenant.key != match.tenant.key:
        raise TokenMismatch(request.params.client)
    if now.tenant.suspended:
        raise TenantSuspended


async def _greet(
    router: Router,
    wire: Wire,
    opening: Opening,
    request: ConnectRequest,
    tenant: TenantRecord,
    address: GatewayAddress | None,
    origin: ClientOrigin,
    copied: dict[str, str],
) -> tuple[Leg, str]:
    """Come back with the gateway's hello, and the uid of its incarnation.

    The client's hold (`opening.deadline`) ends it; the wake outlives it.

    Raises
    ------
    CannotStart
        Holding the client any longer would be no use.
    """
    watch: asyncio.Future[None] | None = None
    stale = None
    held_since = time.monotonic()
    try:
        while True:
            try:
                if address is None:
                    if watch is None:
                        watch = wire.left()
                        watch.add_done_callback(opening.left)
                    address = await router.waker.address(
                        tenant, "connect", f"{request.params.client.id} connected", stale
                    )
                return await greet(router.selector, address, request, origin, copied), address.uid
            except WakeFailed as failed:  # the waker has logged why
                if failed.lasting and time.monotonic() - held_since > LASTING:
                    raise CannotStart(failed.for_clients.partition("\n")[0]) from None
                await asyncio.sleep(AFTER_FAILURE)
            except NotYet:
                await asyncio.sleep(AFTER_NOT_YET)
            except Unreachable as unreachable:
                log.info("tenant %s: gateway of %s: %s", tenant.key, address, unreachable)
                stale, address = address, None
                await asyncio.sleep(AFTER_NOT_YET)
    finally:
        if watch is not None:
            watch.cancel()


async def _refuse(router: Router, wire: Wire, opening: Opening, error: Exception) -> None:
    """Tell the client why, as upstream would, and close."""
    reader, request = opening.reader, opening.request
    match error:
        case BadHead():
            router.metrics.refused.labels("head").inc()
            await wire.close_after(error.response())
        case Rejection():
            assert reader is not None
            router.metrics.refused.labels(type(error).__name__).inc()
            response = error.response(request.id if request is not None else None)
            await wire.close_after(_last_words(reader, response, error.close_code, error.close_reason))
        case Refused():
            assert reader is not None
            router.metrics.refused.labels("by_gateway").inc()
            await wire.close_after(_last_words(reader, error.response, error.code, error.reason))
        case Closed():
            assert reader is not None
            await wire.close_after(reader.to_send())
        case ClientLeft() | OSError():
            wire.close()
        case _:
            wire.close()
            raise error


def _last_words(reader: MessageReader, response: bytes | None, code: int, reason: str) -> bytes:
    return (reader.send_text(response) if response is not None else b"") + reader.close(code, reason)


def _copied(head: Head) -> dict[str, str]:
    """Headers that the gateway shall see as the client sent them: it checks `Origin` of browsers."""
    copied = {}
    for name, title in ((b"origin", "Origin"), (b"user-agent", "User-Agent")):
        value = head.headers.get(name)
        if value is not None:
            copied[title] = value.decode("latin-1")
    return copied
