"""What a sleeping gateway would answer to its clients' passive polls: its own last answers, learned before it went."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec

from .question import question

MAX_ANSWERS: Final = 64
"""Answers kept per tenant: clients of three kinds with a dozen polls each."""
MAX_BYTES: Final = 256 * 1024
"""Bytes of answers kept per tenant; a status with many sessions is 20 KiB. What is not kept wakes when it is asked for."""

_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

IDLE: Final = {
    # What upstream answers while nothing happens, for polls that were never seen answered (openclaw-protocol 4.6).
    ("question.list", b"{}"): b'{"questions":[]}',
    ("last-heartbeat", b"{}"): b"null",
}


USUAL: Final = tuple((method, b"{}") for method in ("health", "status", "system-presence"))
"""Polls that are learned even if nobody has sent them yet."""

Poll = tuple[str, bytes]
"""Method and `params`."""


class Answers:
    """Answers of one tenant by who asks (its scopes), method and `params`; the oldest go first."""

    __slots__ = ("_asked", "_bytes", "_found")

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[bytes, str, bytes], bytes] = OrderedDict()
        """An empty answer stands for a poll that came to a parked client and had none."""
        self._bytes = 0
        self._asked: set[tuple[bytes, Poll]] = set()

    def begin(self) -> None:
        """A fence begins: everything is to be learned anew, by whichever connection asks first."""
        self._asked.clear()

    def to_ask(self, scopes: bytes, polls: Iterable[Poll]) -> list[Poll]:
        """Return the polls that a connection is to ask: its own, what others with its scopes asked, the usual ones."""
        known = [(method, params) for who, method, params in self._found if who == scopes]
        wanted = [poll for poll in dict.fromkeys((*polls, *known, *USUAL)) if (scopes, poll) not in self._asked]
        self._asked.update((scopes, poll) for poll in wanted)
        return wanted

    def learn(self, scopes: bytes, method: str, params: bytes, payload: bytes) -> None:
        """Keep a payload (JSON)."""
        key = (scopes, method, params)
        self._bytes += len(payload) - len(self._found.pop(key, b""))
        self._found[key] = payload
        while self._found and (len(self._found) > MAX_ANSWERS or self._bytes > MAX_BYTES):
            self._bytes -= len(self._found.popitem(last=False)[1])

    def answer(self, scopes: bytes, method: str, params: bytes, request_id: str) -> bytes | None:
        """Return the response to a poll, None when nobody knows one."""
        params = question(method, params)
        if method == "sessions.viewers.set":
            # It changes what its own connection is told, and is made again after a wake: nothing to learn from another's.
            payload: bytes | None = _viewers(params)
        else:
            payload = self._found.get((scopes, method, params)) or IDLE.get((method, params))
        if not payload:
            self.learn(scopes, method, params, b"")  # next time
            return None
        return b'{"type":"res","id":%b,"ok":true,"payload":%b}' % (_encode(request_id), payload)


def _viewers(params: bytes) -> bytes:
    """Return what upstream answers to `sessions.viewers.set`: the sessions that are looked at from now on."""
    try:
        keys = bytes(_members(params)["sessionKeys"])
    except (msgspec.MsgspecError, KeyError):
        keys = b"[]"
    return b'{"sessionKeys":%b}' % keys


def tick() -> bytes:
    """Return upstream's `tick` event, without `seq`: outside of the gateway's numbering, so that no client sees a gap."""
    return b'{"type":"event","event":"tick","payload":{"ts":%d}}' % int(time.time() * 1000)
