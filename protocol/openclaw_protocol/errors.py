"""`error` of a failed response: the shape and the few top-level codes."""

from typing import Annotated, Any, Final

import msgspec

from openclaw_protocol.clients import NonEmptyStr

INVALID_REQUEST: Final = "INVALID_REQUEST"
UNAVAILABLE: Final = "UNAVAILABLE"
NOT_PAIRED: Final = "NOT_PAIRED"
FORBIDDEN: Final = "FORBIDDEN"

Count = Annotated[int, msgspec.Meta(ge=0)]


class ErrorShape(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """`ErrorShapeSchema`: `details.code` tells what went wrong, `retryable` and `retry_after_ms` when to retry."""

    code: NonEmptyStr
    message: NonEmptyStr
    details: Any = None
    retryable: bool | None = None
    retry_after_ms: Count | None = None

    @property
    def detail_code(self) -> str | None:
        """`details.code`, when there is one: `AUTH_TOKEN_MISMATCH`, `MISSING_SCOPE`, …."""
        code = self.details.get("code") if isinstance(self.details, dict) else None
        return code if isinstance(code, str) else None
