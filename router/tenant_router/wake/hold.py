"""How long a client tolerates waiting for its hello, by kind of client. Pure."""

from __future__ import annotations

from openclaw_protocol.connect import ConnectParams

# From measurements with unmodified clients (openclaw-protocol 3.4 and 4.5). Seconds from the `connect` request.
NODE_LIBRARY = 60.0
"""openclaw-node has no limit of its own, but its first connect() rejects on any close before hello."""
APPLE = 5.0
"""Older Apple apps give up after 6 s."""
ANDROID = 10.0
"""Android waits 12 s."""
PROBE = 2.5
"""`openclaw gateway probe` allows 3 s in all."""
DEFAULT = 12.0
"""Official Node and browser clients allow 15 s; the margin covers their network and a busy event loop of theirs."""

_APPLE_IDS = frozenset({"openclaw-macos", "openclaw-ios", "openclaw-watchos"})


def hold_budget(params: ConnectParams) -> float:
    """Return the seconds that this client can be kept waiting before it must hear "not yet"."""
    client = params.client
    if (params.user_agent or "").startswith("openclaw-node/"):
        return NODE_LIBRARY
    if client.id in _APPLE_IDS:
        return APPLE
    if client.id == "openclaw-android":
        return ANDROID
    if client.mode == "probe":
        return PROBE
    return DEFAULT
