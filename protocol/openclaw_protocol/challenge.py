"""`connect.challenge`, the first frame of every connection: the nonce that a device signs."""

import os
import time
import uuid

import msgspec

from openclaw_protocol import frames


class Challenge(msgspec.Struct, frozen=True):
    """The nonce and time a gateway sends at once after 101; `ts` in ms since 1970, device clients sign it."""

    nonce: str
    ts: int

    @classmethod
    def new(cls, now_ms: int | None = None) -> "Challenge":
        """Make a challenge with a fresh random nonce, a UUID as upstream's."""
        nonce = uuid.UUID(bytes=os.urandom(16), version=4)
        return cls(str(nonce), time.time_ns() // 1_000_000 if now_ms is None else now_ms)

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
