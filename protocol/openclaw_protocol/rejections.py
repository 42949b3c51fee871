"""Every way a gateway refuses a connection: the response it sends, then the close code and reason.

Texts and codes are those of OpenClaw 2026.9.6 (`connect-admission.ts`, `auth-messages.ts`, `message-handler.ts`), since
clients decide by them whether to try again: no close code is final for a client, only `details.code` is.
"""

from typing import Any, Final, Literal

import msgspec

from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.errors import INVALID_REQUEST, NOT_PAIRED, UNAVAILABLE, ErrorShape

PROTOCOL_VERSION: Final = 4
MINIMUM_PROBE_PROTOCOL: Final = 3

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


def _invalid_request(message: str, details: dict[str, Any] | None = None) -> ErrorShape:
    return ErrorShape(INVALID_REQUEST, message, details)


# The first message


class NotJson(Rejection):
    """The first message is no JSON."""

    def __init__(self) -> None:
        super().__init__(None, 1000, "")


class InvalidFrame(Rejection):
    """A message that is JSON but no frame. `request_id` is the id it claims, else `invalid`.

    Before hello the connection is closed without a response; after it, `answer()` is sent and the socket stays.
    """

    def __init__(self, detail: str = "", request_id: str = "invalid") -> None:
        super().__init__(None, 1008, "invalid request frame")
        self.detail = detail
        self.request_id = request_id

    def answer(self) -> bytes:
        """The `res` that a client which is already connected gets."""
        error = _invalid_request(f"invalid request frame: {self.detail}" if self.detail else "invalid request frame")
        return msgspec.json.encode({"type": "res", "id": self.request_id, "ok": False, "error": error})


class FrameTooLarge(Rejection):
    """More than 64 KiB before hello."""

    def __init__(self) -> None:
        super().__init__(None, 1009, "preauth payload too large")


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
        super().__init__(_invalid_request(message), 1008, message)


class InvalidConnectParams(Rejection):
    """`connect` whose params break the schema; `detail` as in `at /client/id: must be …`."""

    def __init__(self, detail: str) -> None:
        message = f"invalid connect params: {detail}"
        super().__init__(_invalid_request(message), 1008, message)


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
        super().__init__(_invalid_request("protocol mismatch", details), 1002, "protocol mismatch")


class InvalidRole(Rejection):
    """A role other than `operator` and `node`."""

    def __init__(self) -> None:
        super().__init__(_invalid_request("invalid role"), 1008, "invalid role")


class InvalidClient(Rejection):
    """A browser copilot without the mode and capabilities that upstream asks of it."""

    def __init__(self) -> None:
        message = "browser copilot requires ui mode with run-tool-bindings and session-scoped-events capabilities"
        super().__init__(_invalid_request(message), 1008, message)


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
        super().__init__(_invalid_request(message, details), 1008, message)


# Credentials


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


# Devices


class DeviceIdentityRequired(Rejection):
    """Neither a credential nor a device."""

    def __init__(self) -> None:
        message = "device identity required"
        super().__init__(ErrorShape(NOT_PAIRED, message, {"code": "DEVICE_IDENTITY_REQUIRED"}), 1008, message)


class ControlUiDeviceIdentityRequired(Rejection):
    """Control UI, copilot or TUI without a device, in token mode."""

    def __init__(self) -> None:
        message = "control ui requires device identity (use HTTPS or localhost secure context)"
        details = {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}
        super().__init__(_invalid_request(message, details), 1008, message)


class DeviceRefused(Rejection):
    """A device proof that does not hold."""

    def __init__(self, message: str, code: str, reason: str) -> None:
        super().__init__(_invalid_request(message, {"code": code, "reason": reason}), 1008, message)


class DeviceIdMismatch(DeviceRefused):
    """`device.id` is not the SHA-256 of the public key."""

    def __init__(self) -> None:
        super().__init__("device identity mismatch", "DEVICE_AUTH_DEVICE_ID_MISMATCH", "device-id-mismatch")


class DeviceSignatureExpired(DeviceRefused):
    """Signed more than 120 s ago, or ahead."""

    def __init__(self) -> None:
        super().__init__("device signature expired", "DEVICE_AUTH_SIGNATURE_EXPIRED", "device-signature-stale")


class DeviceNonceRequired(DeviceRefused):
    """A blank nonce."""

    def __init__(self) -> None:
        super().__init__("device nonce required", "DEVICE_AUTH_NONCE_REQUIRED", "device-nonce-missing")


class DeviceNonceMismatch(DeviceRefused):
    """The nonce of another connection: a forwarded or replayed `connect`."""

    def __init__(self) -> None:
        super().__init__("device nonce mismatch", "DEVICE_AUTH_NONCE_MISMATCH", "device-nonce-mismatch")


class DeviceSignatureInvalid(DeviceRefused):
    """Signature and signed fields do not belong together."""

    def __init__(self) -> None:
        super().__init__("device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID", "device-signature")


class DevicePublicKeyInvalid(DeviceRefused):
    """A public key that cannot be read."""

    def __init__(self) -> None:
        super().__init__("device public key invalid", "DEVICE_AUTH_PUBLIC_KEY_INVALID", "device-public-key")


# Not now


class GatewayStarting(Rejection):
    """OpenClaw's own "still waking": clients silently retry after `retry_after_ms` (which they clamp to 100-2000)."""

    def __init__(self, retry_after_ms: int = 500) -> None:
        error = ErrorShape(
            UNAVAILABLE,
            "gateway starting; retry shortly",
            {"reason": "startup-sidecars"},
            retryable=True,
            retry_after_ms=retry_after_ms,
        )
        super().__init__(error, 1013, "gateway starting")


class GatewayDraining(Rejection):
    """The gateway finishes its work before it restarts, or before it is suspended (`phase` of the suspension)."""

    def __init__(
        self,
        reason: Literal["gateway-restarting", "gateway-suspending"] = "gateway-restarting",
        phase: Literal["accepting", "draining", "prepared"] = "accepting",
    ) -> None:
        operation = "restart" if reason == "gateway-restarting" else "suspension"
        error = ErrorShape(
            UNAVAILABLE,
            f"connect unavailable during gateway {operation}",
            {"method": "connect", "reason": reason, "phase": phase},
            retryable=True,
            retry_after_ms=1000,
        )
        super().__init__(error, 1013, f"gateway {operation} in progress")


class AuthChanged(Rejection):
    """The credential a live connection came with is no longer valid."""

    def __init__(self) -> None:
        super().__init__(None, 4001, "gateway auth changed")


class PolicyChanged(Rejection):
    """The auth settings changed under a live connection."""

    def __init__(self) -> None:
        super().__init__(None, 4001, "gateway policy changed")
