"""How a gateway knows the router: a secret per tenant, derived from one master key."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

MIN_MASTER_KEY: Final = 32
"""Bytes: a shorter key would be the weakest part of HMAC-SHA-256."""


def identity_secret(master_key: bytes, uid: str) -> str:
    """Return a tenant's identity secret: HMAC-SHA-256(master key, UID of the tenant) as 64 hex digits.

    Router and operator hold the master key and derive; a gateway holds only its own value. A tenant made anew under an old
    name has another UID and so another secret.

    Parameters
    ----------
    uid
        `metadata.uid`, or what the fleet derives where there is no API server.

    Raises
    ------
    ValueError
        The key is too short or the UID empty.
    """
    if len(master_key) < MIN_MASTER_KEY:
        raise ValueError(f"the master key has {len(master_key)} bytes, fewer than {MIN_MASTER_KEY}")
    if not uid:
        raise ValueError("the tenant has no UID")
    return hmac.new(master_key, uid.encode(), hashlib.sha256).hexdigest()


def identity_user(tenant_name: str, secret: str) -> str:
    """Return the value of the header `x-openclaw-tenant`, the only one that the tenant's gateway lets in.

    Upstream compares it whole, but shows people and the model only what stands before an `@`: it takes the value for a
    mail address. With any other separator the secret would be in every prompt and in `chat.history`.
    Lower case and free of anything that HTTP could change.

    Raises
    ------
    ValueError
        Name or secret would make no header value.
    """
    user = f"{tenant_name}@{secret}"
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?@[0-9a-f]{64}", user):
        raise ValueError("the tenant's name is no DNS-1123 label, or its secret not 64 hex digits")
    return user
