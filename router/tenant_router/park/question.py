"""What a poll asks, without what is new in it each time: two polls with the same question have the same answer."""

from __future__ import annotations

from typing import Final

import msgspec

PROGRESS: Final = {
    # The Control UI makes up a `progressId` for each of these, every 30 s, under which it would be told the rows of slow
    # hosts as they come (`sessions.catalog.host`); without one the gateway waits for all of them and changes nothing else.
    "sessions.catalog.list": ("progressId", "allowPartialResults"),
}
"""Method → the members of `params` that say how its answer comes, not what is asked (openclaw 2026.9.6)."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def question(method: str, params: bytes) -> bytes:
    """Return the `params` (JSON) that ask the same, and are the same from poll to poll; what is not an object stays as it is."""
    if method not in PROGRESS:
        return params
    try:
        members = _members(params)
    except msgspec.MsgspecError:
        return params
    return _encode({name: value for name, value in members.items() if name not in PROGRESS[method]})
