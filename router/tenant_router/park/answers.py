"""What a sleeping gateway would answer to its clients' passive polls: its own last answers, learned before it went."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

import msgspec

MAX_ANSWERS: Final = 64
"""Answers kept per tenant: clients of three kinds with a dozen polls each."""
MAX_BYTES: Final = 256 * 1024
"""Bytes of answers kept per tenant; a status with many sessions is 20 KiB. What is not kept wakes when it is asked for."""

_encode = msgspec.json.Encoder().encode

IDLE: Final = {
    # What upstream answers while nothing happens, for polls that were never seen answered (openclaw-protocol 4.6).
    ("question.list", b"{}"): b'{"questions":[]}',
    ("last-heartbeat", b"{}"): b"null",
}


class Answers:
    """Answers of one tenant by who asks (its scopes), method and `params`; the oldest go first."""

    __slots__ = ("_bytes", "_found")

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[bytes, str, bytes], bytes] = OrderedDict()
        self._bytes = 0

    def learn(self, scopes: bytes, method: str, params: bytes, payload: bytes) -> None:
        """Keep a payload (JSON)."""
        key = (scopes, method, params)
        self._bytes += len(payload) - len(self._found.pop(key, b""))
        self._found[key] = payload
        while self._found and (len(self._found) > MAX_ANSWERS or self._bytes > MAX_BYTES):
            self._bytes -= len(self._found.popitem(last=False)[1])

    def knows(self, scopes: bytes, method: str, params: bytes) -> bool:
        """Tell whether there is an answer."""
        return (scopes, method, params) in self._found

    def answer(self, scopes: bytes, method: str, params: bytes, request_id: str) -> bytes | None:
        """Return the response to a poll, None when nobody knows one."""
        payload = self._found.get((scopes, method, params)) or IDLE.get((method, params))
        if payload is None:
            return None
        return b'{"type":"res","id":%b,"ok":true,"payload":%b}' % (_encode(request_id), payload)


def tick() -> bytes:
    """Return upstream's `tick` event, without `seq`: outside of the gateway's numbering, so that no client sees a gap."""
    return b'{"type":"event","event":"tick","payload":{"ts":%d}}' % int(time.time() * 1000)
