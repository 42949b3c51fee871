"""The state of a connection that is not relayed, sans-I/O: relaying → parking → parked → waking → relaying.

Parking: the gateway still runs and is being asked whether it may sleep; requests wait, and what it sends goes on to the
client, except for what would tell the client of the sleep. Parked: there is no gateway. Waking: there is one again, and
the state that the client has on it is being restored.

Sequence numbers need no rewriting: upstream numbers the events of each connection from 1, and its clients (`lastSeq` of
`@openclaw/gateway-client`, which CLI, TUI and Control UI share) see a gap only when a number is higher than the last one
plus one. Starting anew at 1 is none; a number left out within one connection is, so nothing numbered is left out there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from enum import StrEnum
from typing import Final

import msgspec

from .answers import Answers, tick
from .frames import CLOSE, PING, PONG, TEXT, Cut, Cutter, close, ping, pong, text
from .noted import SUBSCRIBES, Noted

OWN: Final = "openclaw-tenancy-router:"
"""Ids of requests that the router makes on a client's leg begin so; no client sees the answers."""
_BEGINNING: Final = re.compile(
    rb'\{\s*"type"\s*:\s*"(?:event"\s*,\s*"event"\s*:\s*"(gateway\.suspension|shutdown)"'
    rb'|(res)"\s*,\s*"id"\s*:\s*"openclaw-tenancy-router:)'
)
"""What a gateway's message begins with that is not for the client; all gateways write these members first."""
_RESPONSE: Final = re.compile(rb'\{\s*"type"\s*:\s*"res"')
_GOING: Final = (1001, 1012)
"""Close codes of a gateway that ends; any other is about this client (4001: its token was changed)."""
MAX_LOOK: Final = 64 * 1024
"""Bytes of a message that is looked at; larger ones are no polls and no events of ours."""
MAX_OWN: Final = 512 * 1024
"""Bytes of a gateway's message that may be an answer to us."""
MAX_WITHHELD: Final = 1024 * 1024
"""Bytes kept from a client while its gateway is prepared to sleep; beyond, they go on, and it may see a gap."""


class Phase(StrEnum):
    """Where a connection is; `relaying` is no state of this machine."""

    PARKING = "parking"
    PARKED = "parked"
    WAKING = "waking"
    CLOSED = "closed"


class _Request(msgspec.Struct):
    id: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


class _Response(msgspec.Struct):
    id: str
    ok: bool
    payload: msgspec.Raw = msgspec.Raw(b"null")


_decode_request = msgspec.json.Decoder(_Request).decode
_decode_response = msgspec.json.Decoder(_Response).decode
_encode = msgspec.json.Encoder().encode


class Machine:
    """One connection from the moment it is lifted out of the relay until it is put back or closed.

    Parameters
    ----------
    noted
        What the client asked for before; goes on being noted.
    scopes
        Who asks, for the answers: the scopes it logged in with.
    passive
        Returns the methods that clients poll by themselves.
    """

    __slots__ = (
        "_asked",
        "_client",
        "_count",
        "_gateway",
        "_noted",
        "_passive",
        "_scopes",
        "_withheld",
        "answers",
        "failed",
        "held",
        "phase",
        "ponged",
        "shutdown",
        "wanted",
    )

    def __init__(
        self, noted: Noted, scopes: bytes, passive: Callable[[], Set[str]], answers: Answers, received: bytes
    ) -> None:
        self._noted = noted
        self._scopes = scopes
        self._passive = passive
        self.answers = answers
        self.phase = Phase.PARKING
        self.held = received
        """Bytes of the client for its next gateway, from a frame's head on."""
        self.wanted: str | None = None
        """The method that needs a gateway; None: nothing does."""
        self.shutdown = False
        """The gateway said that it ends."""
        self.ponged = 0
        """The last of our pings that was answered."""
        self.failed = False
        """A subscription could not be made again."""
        self._client: Cutter | None = None
        self._gateway: Cutter | None = Cutter(MAX_OWN)
        self._count = 0
        self._asked: dict[str, tuple[str, bytes]] = {}
        """Our requests that are not answered: id → (method, params)."""
        self._withheld: list[bytes] = []

    # Parking and waking: between a gateway and its client

    def barrier(self) -> bytes:
        """Return a ping for the gateway. Once `ponged`, it has taken every request that was sent to it before."""
        self._count += 1
        return ping(b"%b%d" % (OWN.encode(), self._count))

    def ask_polls(self) -> bytes:
        """Return the client's polls as requests of ours, to learn what they are answered, and what others poll."""
        polls = self.answers.to_ask(self._scopes, self._noted.polls or ())
        return b"".join(self._request(method, params) for method, params in polls)

    def subscribe(self) -> bytes:
        """Return the client's subscriptions as requests of ours, for a new gateway."""
        found = self._noted.subscriptions or {}
        return b"".join(self._request(method, params) for (method, _), params in found.items())

    @property
    def barriers(self) -> int:
        """The number of the last barrier, to be compared with `ponged`."""
        return self._count

    @property
    def waiting(self) -> bool:
        """Requests of ours are not answered yet."""
        return bool(self._asked)

    def _request(self, method: str, params: bytes) -> bytes:
        name = f"{OWN}{len(self._asked)}:{method}"
        self._asked[name] = (method, params)
        return text(
            b'{"type":"req","id":%b,"method":%b,"params":%b}' % (_encode(name), _encode(method), params), mask=True
        )

    def from_gateway(self, data: bytes) -> bytes:
        """Take what a gateway sent; return what of it the client gets now."""
        out = []
        assert self._gateway is not None
        for cut in self._gateway.feed(data):
            raw = self._pass(cut) if isinstance(cut, Cut) else cut
            if raw and self._withheld and self._fits(raw):
                self._withheld.append(raw)
            elif raw:
                out.append(raw)
        return b"".join(out)

    def _fits(self, raw: bytes) -> bool:
        if sum(map(len, self._withheld)) + len(raw) <= MAX_WITHHELD:
            return True
        self._withheld.clear()
        return False

    def _pass(self, cut: Cut) -> bytes:
        opcode = cut.opcode
        if opcode == TEXT and cut.whole:
            payload = cut.payload
            found = _BEGINNING.match(payload)
            what = found and (found[1] or found[2])
            if what == b"res":
                self._answered(payload)
                return b""
            if what == b"shutdown":
                self.shutdown = True
                return b""
            if what == b"gateway.suspension" and self.phase is Phase.PARKING:
                # Kept with all that follows, in order and numbered as it is, in case that the gateway goes on after all.
                self._withheld.append(cut.raw)
                return b""
        elif opcode == PONG and cut.payload.startswith(OWN.encode()):
            number = cut.payload[len(OWN) :]
            if number.isdigit():
                self.ponged = int(number)
            return b""
        elif opcode == CLOSE:
            if int.from_bytes(cut.payload[:2], "big") in _GOING:
                self.shutdown = True
                return b""
            self.phase = Phase.CLOSED
        return cut.raw

    def _answered(self, payload: bytes) -> None:
        try:
            response = _decode_response(payload)
        except msgspec.MsgspecError:
            return
        method, params = self._asked.pop(response.id, ("", b""))
        if self.phase is Phase.WAKING:
            # The others are courtesies; these failing would leave the client blind.
            self.failed = self.failed or (not response.ok and method.startswith("sessions.") and "subscribe" in method)
        elif response.ok and method:
            self.answers.learn(self._scopes, method, params, bytes(response.payload))

    @property
    def boundary(self) -> bool:
        """What the gateway sent ends between two messages."""
        return self._gateway is None or self._gateway.boundary

    @property
    def divisible(self) -> bool:
        """What was passed on to the client ends between two messages."""
        return self._gateway is None or self._gateway.divisible

    def reopen(self) -> tuple[bytes, bytes]:
        """Return what relaying goes on with: bytes to the client, bytes to the gateway."""
        kept = b"".join(self._withheld)
        self._withheld.clear()
        rest = self._gateway.rest() if self._gateway is not None else b""
        return kept + rest, self.held

    # Parked

    def park(self) -> bytes:
        """The gateway is gone. Return what the client gets: answers that were on their way, and a tick."""
        responses = [raw for raw in self._withheld if _RESPONSE.match(Cut(raw).payload)]
        self._withheld.clear()
        self._asked.clear()
        self._gateway = None
        self.phase = Phase.PARKED
        waiting, self.held = self.held, b""
        return b"".join(responses) + text(tick()) + (self.from_client(waiting) if waiting else b"")

    def from_client(self, data: bytes) -> bytes:
        """Take what the client sent while parked; return the answer. `wanted` says whether a gateway is needed now."""
        if self.wanted is not None:
            self.held += data
            return b""
        if self._client is None:
            self._client = Cutter(MAX_LOOK)
        out = []
        for cut in self._client.feed(data):
            if self.wanted is not None or not isinstance(cut, Cut):
                self.wanted = self.wanted or "a large request"
                self.held += cut.raw if isinstance(cut, Cut) else cut
            else:
                out.append(self._serve(cut))
                if self.phase is Phase.CLOSED:
                    break
        if self.wanted is not None:
            self.held += self._client.rest()
            self._client = None
        elif self._client.boundary:
            self._client = None
        return b"".join(out)

    def _serve(self, cut: Cut) -> bytes:
        opcode = cut.opcode
        if opcode == PING:
            return pong(cut.payload)
        if opcode == PONG:
            return b""
        if opcode == CLOSE:
            self.phase = Phase.CLOSED
            return close(cut.payload[:125])
        if opcode == TEXT and cut.whole:
            try:
                request = _decode_request(cut.payload)
            except msgspec.MsgspecError:
                self.wanted = "a message"
            else:
                params, passive = bytes(request.params), self._passive()
                if request.method in passive or request.method in SUBSCRIBES:
                    self._noted.note(request.method, params, passive)
                if request.method in passive:
                    answer = self.answers.answer(self._scopes, request.method, params, request.id)
                    if answer is not None:
                        return text(answer)
                self.wanted = request.method
        else:
            self.wanted = "a message"
        self.held += cut.raw
        return b""

    # Waking

    def wake(self) -> bytes:
        """There is a gateway again. Return what it is to be sent first: the client's subscriptions."""
        self.phase = Phase.WAKING
        self._gateway = Cutter(MAX_OWN)
        self.failed = False
        return self.subscribe()

    def lost_again(self) -> None:
        """The gateway went before the client was back on it."""
        self.phase = Phase.PARKED
        self._gateway = None
        self._asked.clear()
