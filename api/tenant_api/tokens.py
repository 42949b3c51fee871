"""Tokens: made here, shown once, known afterwards by their SHA-256 only."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Final

PREFIX: Final = "oct_"
"""Marks a string as one of our tokens, for people and for secret scanners."""

_ALPHABET: Final = string.ascii_letters + string.digits
_LENGTH: Final = 43
"""Letters and digits after the prefix: 62^43 > 2^256. No '-', so that a double click takes the whole token."""

MAX_TOKEN_CHARS: Final = 4096
"""Longest token that is looked up. Clients may bring tokens made elsewhere, but nobody's token is longer."""

_OURS = re.compile(rf"{PREFIX}[A-Za-z0-9]{{{_LENGTH}}}\Z")


def new_token() -> str:
    """Return a new token of 256 random bits. Whoever has it is the tenant: show it once, store its digest."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a token (32 bytes): the key by which a fleet finds its tenant.

    A token of 256 random bits needs no salt and no slow hash; one that people made up would.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def token_hex(token: str) -> str:
    """Return the digest as `Tenant.spec.tokens[].sha256` has it."""
    return token_digest(token).hex()


def looks_like_token(text: str) -> bool:
    """Tell whether a text is one of our tokens, by its shape."""
    return _OURS.match(text) is not None
