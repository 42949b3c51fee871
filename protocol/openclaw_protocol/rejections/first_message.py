"""A first message that is not a proper `connect`."""

from typing import Final, Literal

import msgspec

from openclaw_protocol.rejections.base import Rejection, invalid_request

PROTOCOL_VERSION: Final = 4
MINIMUM_PROBE_PROTOCOL: Final = 3


class NotJson(Rejection):
    """The first message is no JSON."""

    def __init__(self) -> None:
        super().__init__(None, 1000, "")


class InvalidFrame(Rejection):
    """A message that is no frame; `claimed_id` is whatever it has for an id.

    Before hello the connection is closed without a response; after it, `answer()` is sent and the socket stays.
    """

    def __init__(self, detail: str = "", claimed_id: object = None) -> None:
        super().__init__(None, 1008, "invalid request frame")
        self.detail = detail
        self.claimed_id = claimed_id

    def answer(self) -> bytes:
        """The `res` that a client which is already connected gets."""
        error = invalid_request(f"invalid request frame: {self.detail}" if self.detail else "invalid request frame")
        answered = "invalid" if self.claimed_id is None else self.claimed_id
        return msgspec.json.encode({"type": "res", "id": answered, "ok": False, "error": error})


class FrameTooLarge(Rejection):
    """More than 64 KiB before hello."""

    def __init__(self) -> None:
        super().__init__(None, 1009, "")


class HandshakeTimeout(Rejection):
    """No `connect` within 15 s."""

    def __init__(self) -> None:
        super().__init__(None, 1000, "")


class TooManyPendingFrames(Rejection):
    """More than 15 messages between `connect` and hello."""

    def __init__(self) -> None:
        super().__init__(None, 1008, "too many pending handshake frames")


class WorkerRefused(Rejection):
    """A client that calls itself a worker: those have an endpoint of their own."""

    def __init__(self) -> None:
        super().__init__(None, 1008, "invalid-handshake")


class NotConnect(Rejection):
    """A proper request, but not `connect`."""

    def __init__(self) -> None:
        message = "invalid handshake: first request must be connect"
        super().__init__(invalid_request(message), 1008, message)


class InvalidConnectParams(Rejection):
    """`connect` whose params break the schema; `detail` as in `at /client/id: must be …`."""

    def __init__(self, detail: str) -> None:
        message = f"invalid connect params: {detail}"
        super().__init__(invalid_request(message), 1008, message)


class ProtocolMismatch(Rejection):
    """The client's protocol range does not hold 4."""

    def __init__(self, minimum: int, maximum: int) -> None:
        details = {
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": minimum,
            "clientMaxProtocol": maximum,
            "expectedProtocol": PROTOCOL_VERSION,
            "minimumProbeProtocol": MINIMUM_PROBE_PROTOCOL,
        }
        super().__init__(invalid_request("protocol mismatch", details), 1002, "protocol mismatch")


class InvalidRole(Rejection):
    """A role other than `operator` and `node`."""

    def __init__(self) -> None:
        super().__init__(invalid_request("invalid role"), 1008, "invalid role")


class InvalidClient(Rejection):
    """A browser copilot without the mode and capabilities that upstream asks of it."""

    def __init__(self) -> None:
        message = "browser copilot requires ui mode with run-tool-bindings and session-scoped-events capabilities"
        super().__init__(invalid_request(message), 1008, message)


class OriginNotAllowed(Rejection):
    """`Origin` is missing where a browser must send it, or not in `gateway.controlUi.allowedOrigins`."""

    def __init__(
        self, reason: Literal["origin missing or invalid", "origin not allowed"] = "origin not allowed"
    ) -> None:
        message = (
            "origin not allowed (open the Control UI from the gateway host or allow it in "
            "gateway.controlUi.allowedOrigins)"
        )
        details = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason}
        super().__init__(invalid_request(message, details), 1008, message)
