"""Devices that are missing, unproved or unknown."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from openclaw_protocol.errors import NOT_PAIRED, ErrorShape
from openclaw_protocol.rejections.base import Rejection, invalid_request


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
        super().__init__(invalid_request(message, details), 1008, message)


class PairingRequired(Rejection):
    """A device that nobody has approved for what it asks; `pairing_id` is the request that waits for approval."""

    def __init__(
        self,
        pairing_id: str,
        device_id: str,
        role: str,
        scopes: Sequence[str],
        reason: Literal["not-paired", "role-upgrade", "scope-upgrade", "metadata-upgrade"] = "not-paired",
    ) -> None:
        requirement, hint = _PAIRING_TEXTS[reason]
        message = f"pairing required: {requirement}"
        details: dict[str, Any] = {
            "code": "PAIRING_REQUIRED",
            "reason": reason,
            "requestId": pairing_id,
            "remediationHint": hint,
            "deviceId": device_id,
            "requestedRole": role,
        }
        if scopes:
            details["requestedScopes"] = list(scopes)
        super().__init__(ErrorShape(NOT_PAIRED, message, details), 1008, f"{message} (requestId: {pairing_id})")


_PAIRING_TEXTS: Final = {
    "not-paired": (
        "device is not approved yet",
        "Approve this device from the pending pairing requests.",
    ),
    "role-upgrade": (
        "device is asking for a higher role than currently approved",
        "Review the requested role upgrade, then approve the pending request.",
    ),
    "scope-upgrade": (
        "device is asking for more scopes than currently approved",
        "Review the requested scopes, then approve the pending upgrade.",
    ),
    "metadata-upgrade": (
        "device identity changed and must be re-approved",
        "Review the refreshed device details, then approve the pending request.",
    ),
}


class DeviceRefused(Rejection):
    """A device proof that does not hold."""

    def __init__(self, message: str, code: str, reason: str) -> None:
        super().__init__(invalid_request(message, {"code": code, "reason": reason}), 1008, message)


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
