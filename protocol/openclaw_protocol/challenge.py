"""`connect.challenge`, the first frame of every connection: the nonce that a device signs."""

import os
import time

import msgspec

from openclaw_protocol import frames


class Challenge(msgspec.Struct, frozen=True):
    """The nonce and time a gateway sends at once after 101; `ts` in ms since 1970, device clients sign it."""

    nonce: str
    ts: int

    @classmethod
    def new(cls, now_ms: int | None = None) -> "Challenge":
        """Make a challenge with a fresh random nonce, a UUID as upstream's."""
        return cls(_random_uuid(), time.time_ns() // 1_000_000 if now_ms is None else now_ms)

    @classmethod
    def parse(cls, data: bytes | str) -> "Challenge":
        """Read the challenge a gateway sent.

        Raises:
            InvalidFrame: not a `connect.challenge` with a nonce and an integer time.
        """
        frame = frames.parse_frame(data)
        if not isinstance(frame, frames.Event) or frame.event != "connect.challenge":
            raise frames.InvalidFrame("expected connect.challenge")
        payload = frame.payload if isinstance(frame.payload, dict) else {}
        nonce, ts = payload.get("nonce"), payload.get("ts")
        if not isinstance(nonce, str) or not nonce or not isinstance(ts, int) or isinstance(ts, bool) or ts < 0:
            raise frames.InvalidFrame("connect.challenge without a nonce and a time")
        return cls(nonce, ts)

    def event(self) -> bytes:
        """The frame as sent to a client."""
        return frames.event("connect.challenge", {"nonce": self.nonce, "ts": self.ts})


def _random_uuid() -> str:
    # RFC 9562, section 5.4. The uuid module would do the same, and take 2 ms of a gateway's start to be imported.
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
