from __future__ import annotations

from tenant_router.expiries import Expiries
from tenant_router.fleet import TenantRecord, TokenMatch

A, B = b"a" * 32, b"b" * 32


def held(name: str, expires_at: float | None) -> TokenMatch:
    return TokenMatch(TenantRecord("ann"), name, expires_at)


def test_tokens_are_told_once_in_the_order_of_their_expiry() -> None:
    tokens = {A: held("phone", 20.0), B: held("laptop", 10.0)}
    expiries = Expiries()
    for digest, match in tokens.items():
        expiries.note(digest, match.expires_at)
    assert expiries.due(9.9, tokens.get) == []
    assert expiries.due(30.0, tokens.get) == [("ann", frozenset({"laptop"})), ("ann", frozenset({"phone"}))]
    assert expiries.due(31.0, tokens.get) == []


def test_what_is_gone_or_lives_longer_by_now_is_not_told() -> None:
    tokens = {A: held("phone", 10.0), B: held("laptop", 10.0)}
    expiries = Expiries()
    for digest in tokens:
        expiries.note(digest, 10.0)
    del tokens[A]
    tokens[B] = held("laptop", None)
    expiries.note(B, None)
    assert expiries.due(20.0, tokens.get) == []
