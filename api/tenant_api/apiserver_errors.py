"""What the API server may answer, to operator and router alike, instead of what was wanted."""

from __future__ import annotations


class ApiError(Exception):
    """A call came to nothing."""


class ApiUnavailable(ApiError):
    """The server can't be reached or can't answer now (429 and 5xx): the same call may succeed later."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the server asks to wait; 0: it does not say."""


class ApiRefused(ApiError):
    """The server understood and refuses (4xx): the same call fails again until something changes."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{message or reason} ({code})")
        self.code = code
        self.reason = reason
        """Kubernetes' `status.reason`, e.g. Forbidden, Invalid."""
        self.message = message


def retry_after(header: str | None) -> float:
    """Return the seconds of a `Retry-After` header; 0 when there is none, or a date, which API servers never send."""
    return float(header) if header is not None and header.isdigit() else 0.0
