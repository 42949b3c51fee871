"""The device proof: an Ed25519 signature over the challenge and what the client says of itself."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw_protocol.challenge import Challenge
from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.connect import ConnectParams, DeviceClaim
from openclaw_protocol.rejections import (
    DeviceIdMismatch,
    DeviceNonceMismatch,
    DeviceNonceRequired,
    DeviceSignatureExpired,
    DeviceSignatureInvalid,
)

SIGNATURE_SKEW_MS: Final = 120_000
"""Upstream's `DEVICE_SIGNATURE_SKEW_MS`."""

_JAVASCRIPT_WHITESPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f"
    "\u3000\ufeff"
)
"""What `String.prototype.trim` removes (ECMA-262, 22.1.3.32); Python's own `strip` differs."""

_TO_LOWER_ASCII: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def verify_device(params: ConnectParams, challenge: Challenge, now_ms: int) -> None:
    """Check the device proof of a `connect`, when it has one, in upstream's order; `now_ms` is ms since 1970.

    Raises:
        DeviceRefused: the first of `DeviceIdMismatch`, `DeviceSignatureExpired`, `DeviceNonceRequired`,
            `DeviceNonceMismatch`, `DeviceSignatureInvalid` that applies.
    """
    device = params.device
    if device is None:
        return
    public_key = _decode_key(device.public_key)
    if public_key is None or hashlib.sha256(public_key).hexdigest() != device.id:
        raise DeviceIdMismatch
    if abs(now_ms - device.signed_at) > SIGNATURE_SKEW_MS:
        raise DeviceSignatureExpired
    nonce = device.nonce.strip(_JAVASCRIPT_WHITESPACE)
    if not nonce:
        raise DeviceNonceRequired
    if nonce != challenge.nonce:
        raise DeviceNonceMismatch
    signature = _decode_base64(device.signature)
    if signature is None or not _is_signed(params, device, nonce, public_key, signature):
        raise DeviceSignatureInvalid


def signed_text(
    client: ClientInfo | Mapping[str, Any],
    device_id: str,
    role: str,
    scopes: Sequence[str],
    token: str,
    nonce: str,
    signed_at: int,
    version: int = 3,
) -> bytes:
    """The bytes a device signs; version 3 also covers platform and device family."""
    if isinstance(client, ClientInfo):
        client_id, mode = str(client.id), str(client.mode)
        platform, family = client.platform, client.device_family
    else:
        client_id, mode = client["id"], client["mode"]
        platform, family = client["platform"], client.get("deviceFamily")
    fields = [f"v{version}", device_id, client_id, mode, role, ",".join(scopes), str(signed_at), token, nonce]
    if version == 3:
        fields += [_normalize(platform), _normalize(family)]
    # A half surrogate cannot be encoded; Node signs U+FFFD in its place.
    return "|".join(fields).encode(errors="replace")


class DeviceKey:
    """A device's key pair, from its 32-byte seed; `id` and `public_key` are what a gateway knows it by."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._private_key = Ed25519PrivateKey.from_private_bytes(seed)
        raw = self._private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.sha256(raw).hexdigest()
        self.public_key = encode_base64(raw)

    def claim(
        self,
        client: ClientInfo | Mapping[str, Any],
        role: str,
        scopes: Sequence[str],
        token: str | None,
        nonce: str,
        signed_at: int,
        version: int = 3,
    ) -> dict[str, Any]:
        """`connect.params.device` for a challenge with this nonce; `signed_at` in ms since 1970."""
        text = signed_text(client, self.id, role, scopes, token or "", nonce, signed_at, version)
        return {
            "id": self.id,
            "publicKey": self.public_key,
            "signature": encode_base64(self._private_key.sign(text)),
            "signedAt": signed_at,
            "nonce": nonce,
        }


def encode_base64(data: bytes) -> str:
    """base64url without padding, as keys and signatures are written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _is_signed(params: ConnectParams, device: DeviceClaim, nonce: str, public_key: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
    except ValueError:
        return False
    for version in (3, 2):
        text = signed_text(
            params.client,
            device.id,
            params.role,
            params.scopes,
            params.signature_token,
            nonce,
            device.signed_at,
            version,
        )
        try:
            key.verify(signature, text)
        except InvalidSignature:
            continue
        return True
    return False


def _decode_key(text: str) -> bytes | None:
    """The raw key, or None; like upstream also from PEM."""
    if "BEGIN" not in text:
        return _decode_base64(text)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None


def _decode_base64(text: str) -> bytes | None:
    """Decode either alphabet, padded or not; None for anything that is not the one spelling of its bytes."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data and encode_base64(data) == plain else None


def _normalize(text: str | None) -> str:
    return "" if text is None else text.strip(_JAVASCRIPT_WHITESPACE).translate(_TO_LOWER_ASCII)
