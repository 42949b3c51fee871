"""What the API server may answer instead of what was wanted."""

from __future__ import annotations


class ApiError(Exception):
    """A call was not done."""


class ApiUnavailable(ApiError):
    """The server can't be reached or is overloaded: the same call may succeed later."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the server asks to wait; 0: it does not say."""


class ApiRefused(ApiError):
    """The server understood and refuses: the same call fails again until something changes."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{message or reason} ({code})")
        self.code = code
        self.reason = reason
        """Kubernetes' `status.reason`, e.g. Forbidden, Invalid."""
        self.message = message


class NotFound(ApiRefused):
    """The object, its namespace or its kind is not there."""


class Conflict(ApiRefused):
    """Somebody changed the object meanwhile, or it is there already."""


class Expired(ApiRefused):
    """The continue token or resource version is too old: list anew."""


class LoginFailed(ApiError):
    """Neither a service account nor a kubeconfig can be used; the text says what to do."""
