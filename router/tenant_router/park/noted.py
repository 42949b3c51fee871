"""What the router notes of a relayed client's requests, so that it can be parked later.

Noting costs a microsecond or two a request, so it has a budget: no person reaches it, and a stream of requests soon does
and is passed on unseen. What might have been missed by that is remembered as such (`complete`).
"""

from __future__ import annotations

import time
from collections.abc import Set
from typing import Final

import msgspec

from ..relay.follow import request_method
from .question import question

BURST: Final = 96.0
"""Requests noted at once: a Control UI that opens sends some sixty."""
RATE: Final = 8.0
"""Requests noted a second in the long run."""
MAX_SUBSCRIPTIONS: Final = 64
"""Subscriptions kept of one connection; more count as missed."""
MAX_POLLS: Final = 16
"""Different polls kept of one connection; others wake when they come to a parked one."""

SUBSCRIBES: Final = {
    # method → the methods that take it back, and the members of `params` that say what of (openclaw-protocol 4.6).
    "sessions.subscribe": ("sessions.unsubscribe", ()),
    "sessions.messages.subscribe": ("sessions.messages.unsubscribe", ("key", "sessionKey", "agentId")),
    "sessions.viewers.set": ("", ()),
    "controlUi.sessionPullRequests.subscribe": ("", ()),
}
"""Requests that change what a gateway sends to this connection: lost with it, so made again after a wake."""
_NOTHING: Final = b"{}"
_TAKEN_BACK: Final = {back: method for method, (back, _) in SUBSCRIBES.items() if back}


class _Request(msgspec.Struct):
    id: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")


_decode = msgspec.json.Decoder(_Request).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Noted:
    """What one connection has asked for and relies on."""

    __slots__ = ("_at", "_level", "complete", "polls", "subscriptions")

    def __init__(self) -> None:
        self._level = BURST
        self._at = 0.0
        self.complete = True
        """No request passed unseen, so `subscriptions` are all there are."""
        self.subscriptions: dict[tuple[str, bytes], bytes] | None = None
        """(method, what of) → `params`; None: none."""
        self.polls: dict[tuple[str, bytes], None] | None = None
        """(method, `params` of its `question`) of its passive polls; None: none."""

    def hear(self, beginning: bytes, passive: Set[str]) -> str | None:
        """Note a message of the client from its first bytes; return its method, None when that can't be seen."""
        method = request_method(beginning)
        if method is None:
            # Not one of those that matter here are written so, unless the beginning is cut short.
            self.complete = self.complete and bool(beginning)
        elif method in SUBSCRIBES or method in _TAKEN_BACK or method in passive:
            try:
                request = _decode(beginning)
            except msgspec.MsgspecError:
                self.complete = self.complete and method in passive
            else:
                self.note(method, bytes(request.params), passive)
        return method

    def note(self, method: str, params: bytes, passive: Set[str]) -> None:
        """Note a request that is seen as a whole."""
        params = _NOTHING if params == _NOTHING else params  # one object for all
        if method in SUBSCRIBES:
            self._subscribe(method, params)
        elif method in _TAKEN_BACK:
            subscribed = _TAKEN_BACK[method]
            if self.subscriptions:
                self.subscriptions.pop((subscribed, _what(subscribed, params)), None)
        elif method in passive:
            polls = self.polls = self.polls or {}
            if len(polls) < MAX_POLLS:
                polls[method, question(method, params)] = None

    def _subscribe(self, method: str, params: bytes) -> None:
        subscriptions = self.subscriptions = self.subscriptions or {}
        what = (method, _what(method, params))
        if what in subscriptions or len(subscriptions) < MAX_SUBSCRIPTIONS:
            subscriptions[what] = params
        else:
            self.complete = False

    def exhausted(self) -> bool:
        """Take one request from the budget; True: no more are to be looked at for a second."""
        now = time.monotonic()
        self._level = min(BURST, self._level + (now - self._at) * RATE) - 1.0
        self._at = now
        if self._level < 1.0:
            self.complete = False
            return True
        return False


def _what(method: str, params: bytes) -> bytes:
    members = SUBSCRIBES[method][1]
    if not members:
        return b""
    try:
        found = _members(params)
    except msgspec.MsgspecError:
        return params
    return b",".join(bytes(found[name]) for name in members if name in found)
