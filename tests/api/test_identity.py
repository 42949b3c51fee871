from __future__ import annotations

import hashlib
import hmac

import pytest

from tenant_api.config import GatewaySettings
from tenant_api.identity import identity_secret, identity_user

KEY = bytes(range(32))


def test_the_secret_is_the_hmac_of_the_uid() -> None:
    assert identity_secret(KEY, "uid-1") == hmac.new(KEY, b"uid-1", hashlib.sha256).hexdigest()
    assert identity_secret(KEY, "uid-1") != identity_secret(KEY, "uid-2")


@pytest.mark.parametrize(("key", "uid"), [(b"short", "uid"), (KEY, "")])
def test_a_weak_key_or_no_uid_is_refused(key: bytes, uid: str) -> None:
    with pytest.raises(ValueError):
        identity_secret(key, uid)


def test_the_user_is_a_header_value_that_the_settings_take() -> None:
    user = identity_user("a" * 63, identity_secret(KEY, "uid-1"))
    assert GatewaySettings(user=user).user == user
    assert user.isascii() and user == user.lower()


@pytest.mark.parametrize(
    ("name", "secret"), [("A", "0" * 64), ("a\r\nb", "0" * 64), ("ann", "0" * 63), ("ann", "0" * 64 + "\n")]
)
def test_nothing_else_gets_into_a_header(name: str, secret: str) -> None:
    with pytest.raises(ValueError):
        identity_user(name, secret)
