from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import recorded
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_protocol import rejections as r
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.connect import ConnectParams, parse_connect
from openclaw_protocol.device import SIGNATURE_SKEW_MS, DeviceKey, encode_base64, signed_text, verify_device

CHALLENGE = Challenge("57321cbc-e7f6-41b4-9359-fa4ddcdf87fe", 1795489410853)
CLIENT = {"id": "cli", "version": "1", "platform": " Linux\ufeff", "deviceFamily": "ÄPPLE", "mode": "cli"}
SCOPES = ["operator.read", "operator.write"]
KEY = DeviceKey(bytes(range(32)))


def params_with(device: dict[str, Any], **changes: Any) -> ConnectParams:
    params = {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": CLIENT,
        "role": "operator",
        "scopes": SCOPES,
        "auth": {"token": "secret"},
        "device": device,
        **changes,
    }
    return parse_connect(json.dumps({"type": "req", "id": "1", "method": "connect", "params": params})).params


def claim(version: int = 3, **changes: Any) -> dict[str, Any]:
    made = KEY.claim(CLIENT, "operator", SCOPES, "secret", CHALLENGE.nonce, CHALLENGE.ts, version)
    return made | changes


def verify(params: ConnectParams, now_ms: int = CHALLENGE.ts) -> None:
    verify_device(params, CHALLENGE, now_ms)


@pytest.mark.parametrize(
    ("frame", "challenge"),
    [
        (recorded.CONNECT_CLI, CHALLENGE),
        (recorded.CONNECT_TUI, Challenge("41dedfe8-b790-4eb9-a0b5-c83422836fd0", 1795511085532)),
    ],
)
def test_what_real_clients_sign_is_accepted(frame: bytes, challenge: Challenge) -> None:
    verify_device(parse_connect(frame).params, challenge, challenge.ts + 1000)


def test_no_device_is_no_fault() -> None:
    frame = json.loads(recorded.CONNECT_CLI)
    del frame["params"]["device"]
    verify_device(parse_connect(json.dumps(frame)).params, CHALLENGE, 0)


@pytest.mark.parametrize("version", [2, 3])
def test_our_own_proof_holds(version: int) -> None:
    verify(params_with(claim(version)))


def test_the_signed_text_is_upstreams() -> None:
    text = signed_text(CLIENT, "id", "operator", SCOPES, "t", "n", 5)
    assert text.decode() == "v3|id|cli|cli|operator|operator.read,operator.write|5|t|n|linux|Äpple"
    text = signed_text(CLIENT, "id", "node", [], "", "n", 5, version=2)
    assert text.decode() == "v2|id|cli|cli|node||5||n"


def test_a_device_is_named_by_its_key() -> None:
    raw = base64.urlsafe_b64decode(KEY.public_key + "=")
    assert (len(raw), KEY.id) == (32, hashlib.sha256(raw).hexdigest())


@pytest.mark.parametrize("late", [-SIGNATURE_SKEW_MS, SIGNATURE_SKEW_MS])
def test_two_minutes_are_allowed_and_no_more(late: int) -> None:
    verify(params_with(claim()), CHALLENGE.ts + late)
    with pytest.raises(r.DeviceSignatureExpired):
        verify(params_with(claim()), CHALLENGE.ts + late + (1 if late > 0 else -1))


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        (claim(id="0" * 64), r.DeviceIdMismatch),
        (claim(id=KEY.id.upper()), r.DeviceIdMismatch),
        (claim(publicKey="not base64!"), r.DeviceIdMismatch),
        (claim(publicKey="-----BEGIN PUBLIC KEY-----"), r.DeviceIdMismatch),
        (claim(signedAt=CHALLENGE.ts - SIGNATURE_SKEW_MS - 1), r.DeviceSignatureExpired),
        (claim(nonce=" \ufeff"), r.DeviceNonceRequired),
        (claim(nonce="another"), r.DeviceNonceMismatch),
        (claim(signature="A" * 86), r.DeviceSignatureInvalid),
        (claim(signature="?"), r.DeviceSignatureInvalid),
        # A key of the wrong length is a wrong signature to upstream, whatever DEVICE_AUTH_PUBLIC_KEY_INVALID was meant for.
        (claim(publicKey="AAAA", id=hashlib.sha256(bytes(3)).hexdigest()), r.DeviceSignatureInvalid),
        # The first fault that upstream looks for decides.
        (claim(id="0" * 64, nonce="another", signature="?"), r.DeviceIdMismatch),
    ],
)
def test_each_fault_has_its_name(device: dict[str, Any], kind: type[r.DeviceRefused]) -> None:
    with pytest.raises(kind):
        verify(params_with(device))


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": [*SCOPES, "operator.admin"]},
        {"scopes": SCOPES[::-1]},
        {"role": "node"},
        {"auth": {"token": "other"}},
        {"auth": {}},
        {"auth": {"deviceToken": "secret", "token": ""}},
        {"client": CLIENT | {"id": "test"}},
        {"client": CLIENT | {"mode": "test"}},
        {"client": CLIENT | {"platform": "darwin"}},
        {"client": CLIENT | {"deviceFamily": "iPhone"}},
    ],
)
def test_a_changed_field_breaks_the_proof(changes: dict[str, Any]) -> None:
    with pytest.raises(r.DeviceSignatureInvalid):
        verify(params_with(claim(), **changes))


def test_version_2_does_not_cover_the_platform() -> None:
    verify(params_with(claim(2), client=CLIENT | {"platform": "darwin"}))


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text + "=" * (-len(text) % 4),
        lambda text: text.replace("-", "+").replace("_", "/"),
    ],
)
def test_other_spellings_of_base64_are_read(spell: Any) -> None:
    device = claim()
    verify(params_with(device | {"publicKey": spell(device["publicKey"]), "signature": spell(device["signature"])}))


def test_a_pem_key_is_read() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    verify(params_with(claim(publicKey=pem)))


@settings(max_examples=200)
@given(
    name=st.sampled_from(["id", "publicKey", "signature", "nonce", "signedAt"]), at=st.integers(0), by=st.integers(1)
)
def test_any_changed_character_is_refused(name: str, at: int, by: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    device = claim()
    if name == "signedAt":
        device[name] = CHALLENGE.ts + by % 1000 + 1
    else:
        text = device[name]
        index = at % len(text)
        other = alphabet[by % len(alphabet)]
        device[name] = text[:index] + (other if other != text[index] else "~") + text[index + 1 :]
    with pytest.raises(r.DeviceRefused):
        verify(params_with(device))


@given(
    seed=st.binary(min_size=32, max_size=32),
    token=st.none() | st.text(max_size=9),
    scopes=st.lists(st.text("abc", min_size=1)),
)
@settings(max_examples=50)
def test_a_proof_is_made_and_checked_the_same(seed: bytes, token: str | None, scopes: list[str]) -> None:
    key = DeviceKey(seed)
    device = key.claim(CLIENT, "node", scopes, token, CHALLENGE.nonce, CHALLENGE.ts)
    auth = {} if token is None else {"token": token}
    verify(params_with(device, role="node", scopes=scopes, auth=auth))
    public_key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key.public_key + "="))
    assert encode_base64(public_key.public_bytes_raw()) == key.public_key
