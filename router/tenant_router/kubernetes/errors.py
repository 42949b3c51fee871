"""What an API server's answer, or its silence, means to us."""

from __future__ import annotations


class ApiError(Exception):
    """A request to the API server came to nothing."""


class ApiUnavailable(ApiError):
    """The API server can't be reached or can't answer now (429 and 5xx count as that). Trying again may help."""

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        """Seconds that the server asked us to wait; 0: it did not say."""


class ApiRefused(ApiError):
    """The API server said no (4xx)."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{message or reason} ({code})")
        self.code = code
        self.reason = reason
        self.message = message or reason


class Expired(ApiError):
    """410 Gone: the resource version or the continue token is too old. List anew."""


class ConfigurationError(Exception):
    """There is no usable way to an API server; the text says what to set."""
