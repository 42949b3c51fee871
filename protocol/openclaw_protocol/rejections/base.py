"""What every refusal is: a response, a close code, a close reason."""

from typing import Any, Final

import msgspec

from openclaw_protocol.errors import INVALID_REQUEST, ErrorShape

_CLOSE_REASON_BYTES: Final = 120
"""Upstream's `CLOSE_REASON_MAX_BYTES`; a close frame has room for 123 (RFC 6455, section 5.5)."""


class Rejection(Exception):
    """A refused connection: send `response()` when there is one, then close with `close_code` and `close_reason`."""

    def __init__(self, error: ErrorShape | None, close_code: int, close_reason: str) -> None:
        super().__init__(error.message if error else close_reason or f"closed {close_code}")
        self.error = error
        self.close_code = close_code
        self.close_reason = _truncate(close_reason)
        self.request_id: str | None = None
        """Id of the refused request, set by whoever parsed it."""

    def response(self, request_id: str | None = None) -> bytes | None:
        """The `res` frame, or None where upstream closes without one or no request is known."""
        answered = self.request_id if request_id is None else request_id
        if self.error is None or answered is None:
            return None
        return msgspec.json.encode({"type": "res", "id": answered, "ok": False, "error": self.error})


def _truncate(reason: str) -> str:
    return reason.encode()[:_CLOSE_REASON_BYTES].decode(errors="ignore")


def invalid_request(message: str, details: dict[str, Any] | None = None) -> ErrorShape:
    """The error of most refusals."""
    return ErrorShape(INVALID_REQUEST, message, details)
