"""Refused credentials, in the words that upstream has for each kind of client."""

from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.errors import INVALID_REQUEST, ErrorShape
from openclaw_protocol.rejections.base import Rejection


class Unauthorized(Rejection):
    """Refused credentials; `reason` is upstream's `authReason`."""

    def __init__(
        self,
        message: str,
        code: str,
        reason: str,
        next_step: str,
        *,
        device_token_retry: bool = False,
        retry_after_ms: int | None = None,
    ) -> None:
        details = {
            "code": code,
            "authReason": reason,
            "canRetryWithDeviceToken": device_token_retry,
            "recommendedNextStep": "retry_with_device_token" if device_token_retry else next_step,
        }
        retryable = None if retry_after_ms is None else True
        super().__init__(ErrorShape(INVALID_REQUEST, message, details, retryable, retry_after_ms), 1008, message)


class TokenMismatch(Unauthorized):
    """A token that belongs to nobody. Final for clients, unless `device_token_retry` invites them to use another."""

    def __init__(self, client: ClientInfo | None, *, local: bool = False, device_token_retry: bool = False) -> None:
        super().__init__(
            f"unauthorized: gateway token mismatch ({_token_hint(client, local)})",
            "AUTH_TOKEN_MISMATCH",
            "token_mismatch",
            "update_auth_credentials",
            device_token_retry=device_token_retry,
        )


class TokenMissing(Unauthorized):
    """No token. Final for clients."""

    def __init__(self, client: ClientInfo | None, *, local: bool = False) -> None:
        hint = _token_hint(client, local)
        if client is not None and (client.is_operator_ui or client.is_webchat):
            hint = "paste in Control UI settings or openclaw doctor --generate-gateway-token; restart"
        super().__init__(
            f"unauthorized: gateway token missing ({hint})",
            "AUTH_TOKEN_MISSING",
            "token_missing",
            "update_auth_configuration",
        )


class RateLimited(Unauthorized):
    """Too many wrong credentials from this address."""

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(
            "unauthorized: too many failed authentication attempts (retry later)",
            "AUTH_RATE_LIMITED",
            "rate_limited",
            "wait_then_retry",
            retry_after_ms=retry_after_ms,
        )


class IdentityHeaderRequired(Unauthorized):
    """Trusted-proxy mode: a header of `gateway.auth.trustedProxy.requiredHeaders` is missing."""

    def __init__(self, header: str, client: ClientInfo | None = None) -> None:
        message = "unauthorized"
        if client is not None and client.mode == "node":
            message = (
                "gateway rejected this node: trusted-proxy identity-header authentication is required and no usable "
                "machine credential was accepted; run `openclaw doctor` on the Gateway"
            )
        super().__init__(
            message,
            "AUTH_IDENTITY_HEADER_REQUIRED",
            f"trusted_proxy_missing_header_{header.lower()}",
            "review_auth_configuration",
        )


class IdentityRefused(Unauthorized):
    """Trusted-proxy mode: the proxy vouches for nobody this gateway serves; `reason` is upstream's `authReason`."""

    def __init__(self, reason: str = "trusted_proxy_user_not_allowed") -> None:
        super().__init__("unauthorized", "AUTH_UNAUTHORIZED", reason, "review_auth_configuration")


def _token_hint(client: ClientInfo | None, local: bool) -> str:
    if client is not None and client.is_cli:
        if local:
            return "use this gateway's gateway.auth.token or pair the device"
        return "set gateway.remote.token to match gateway.auth.token"
    if client is not None and (client.is_operator_ui or client.is_webchat):
        return "open the dashboard URL and paste the token in Control UI settings"
    return "provide gateway auth token"
