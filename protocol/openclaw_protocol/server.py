"""The gateway's side of the handshake, sans-I/O: the challenge out, `connect` in, hello or a rejection out."""

from collections.abc import Mapping
from typing import Any, Final

from openclaw_protocol import frames
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.connect import MAX_CONNECT_BYTES, ConnectRequest, parse_connect
from openclaw_protocol.device import verify_device
from openclaw_protocol.rejections import FrameTooLarge, Rejection, TooManyPendingFrames

HANDSHAKE_TIMEOUT: Final = 15.0
"""Seconds from the upgrade to `connect`, after which upstream closes: raise `HandshakeTimeout` then."""

MAX_PENDING_FRAMES: Final = 15
"""How many messages upstream keeps that come behind `connect`, before its hello."""


class ServerHandshake:
    """One client at the door: send `start()` at once, feed messages to `receive`, answer with `accept` or `refuse`."""

    def __init__(self, challenge: Challenge | None = None) -> None:
        self.challenge = Challenge.new() if challenge is None else challenge
        self.request: ConnectRequest | None = None
        self.pending: list[bytes | str] = []
        """Messages that came behind `connect`, to be handled after hello."""

    def start(self) -> bytes:
        """The first message, due right behind the 101: the Control UI waits for it 750 ms and no longer."""
        return self.challenge.event()

    def receive(self, data: bytes | str, now_ms: int) -> ConnectRequest | None:
        """Take one message: the first is `connect`, the device proof checked against our nonce; others are kept.

        Args:
            data: a text or a binary message.
            now_ms: ms since 1970, for the age of the device's signature.

        Raises:
            Rejection: see `parse_connect` and `verify_device`; its request id is set.
        """
        if self.request is not None:
            self._keep(data)
            return None
        request = parse_connect(data)
        self.request = request
        try:
            verify_device(request.params, self.challenge, now_ms)
        except Rejection as rejection:
            rejection.request_id = request.id
            raise
        return request

    def accept(self, hello: Mapping[str, Any]) -> bytes:
        """Encode hello-ok, as `hello.hello_ok` builds it, as the answer to the client's request."""
        assert self.request is not None
        return frames.response(self.request.id, hello)

    def refuse(self, rejection: Rejection) -> bytes | None:
        """The response to send before the close, if upstream sends one."""
        return rejection.response(None if self.request is None else self.request.id)

    def _keep(self, data: bytes | str) -> None:
        size = len(data) if isinstance(data, bytes) else len(data.encode())
        if size > MAX_CONNECT_BYTES:
            raise FrameTooLarge
        if len(self.pending) >= MAX_PENDING_FRAMES:
            raise TooManyPendingFrames
        self.pending.append(data)
