"""Every way a gateway refuses a connection: the response it sends, then the close code and reason.

Texts and codes are those of OpenClaw 2026.9.6 (`connect-admission.ts`, `auth-messages.ts`, `message-handler.ts`), since
clients decide by them whether to try again: no close code is final for a client, only `details.code` is.
"""

from openclaw_protocol.rejections.availability import (
    AuthChanged,
    GatewayDraining,
    GatewayStarting,
    PolicyChanged,
)
from openclaw_protocol.rejections.base import (
    Rejection,
)
from openclaw_protocol.rejections.credentials import (
    IdentityHeaderRequired,
    IdentityRefused,
    RateLimited,
    TokenMismatch,
    TokenMissing,
    Unauthorized,
)
from openclaw_protocol.rejections.devices import (
    ControlUiDeviceIdentityRequired,
    DeviceIdentityRequired,
    DeviceIdMismatch,
    DeviceNonceMismatch,
    DeviceNonceRequired,
    DevicePublicKeyInvalid,
    DeviceRefused,
    DeviceSignatureExpired,
    DeviceSignatureInvalid,
    PairingRequired,
)
from openclaw_protocol.rejections.first_message import (
    MINIMUM_PROBE_PROTOCOL,
    PROTOCOL_VERSION,
    FrameTooLarge,
    HandshakeTimeout,
    InvalidClient,
    InvalidConnectParams,
    InvalidFrame,
    InvalidRole,
    NotConnect,
    NotJson,
    OriginNotAllowed,
    ProtocolMismatch,
    TooManyPendingFrames,
    WorkerRefused,
)

__all__ = [
    "MINIMUM_PROBE_PROTOCOL",
    "PROTOCOL_VERSION",
    "AuthChanged",
    "ControlUiDeviceIdentityRequired",
    "DeviceIdMismatch",
    "DeviceIdentityRequired",
    "DeviceNonceMismatch",
    "DeviceNonceRequired",
    "DevicePublicKeyInvalid",
    "DeviceRefused",
    "DeviceSignatureExpired",
    "DeviceSignatureInvalid",
    "FrameTooLarge",
    "GatewayDraining",
    "GatewayStarting",
    "HandshakeTimeout",
    "IdentityHeaderRequired",
    "IdentityRefused",
    "InvalidClient",
    "InvalidConnectParams",
    "InvalidFrame",
    "InvalidRole",
    "NotConnect",
    "NotJson",
    "OriginNotAllowed",
    "PairingRequired",
    "PolicyChanged",
    "ProtocolMismatch",
    "RateLimited",
    "Rejection",
    "TokenMismatch",
    "TokenMissing",
    "TooManyPendingFrames",
    "Unauthorized",
    "WorkerRefused",
]
