from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from tenant_api.tokens import looks_like_token, new_token, token_digest, token_hex


def test_a_new_token_is_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(looks_like_token(token) and len(token) == 47 for token in tokens)


def test_the_digest_is_that_of_sha256() -> None:
    assert token_digest("oct_x") == hashlib.sha256(b"oct_x").digest()
    assert token_hex("oct_x") == hashlib.sha256(b"oct_x").hexdigest()


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_has_a_digest(text: str) -> None:
    assert len(token_digest(text)) == 32
