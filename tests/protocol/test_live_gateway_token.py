"""Our client code against the real gateway with a token, and every refusal it can be made to show, word for word."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from connects import BACKEND, CLI, CONTROL_UI, KEY, REQUEST_ID, TUI, Say, connect, message, remote
from live_gateway import (
    ANSWER_TIMEOUT,
    SCOPES,
    LiveGateway,
    Outcome,
    assert_same,
    client_info,
    conversation,
    listen,
    log_in,
    outcome_of,
    shake_hands,
)

from openclaw_protocol import frames
from openclaw_protocol import rejections as r
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.client import ClientHandshake, ConnectRefused
from openclaw_protocol.device import DeviceKey
from openclaw_protocol.server import ServerHandshake
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

pytestmark = pytest.mark.openclaw

TOKEN = "the-token"


@pytest.fixture(scope="module")
def starting(openclaw: OpenClawRuntime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway with a token, just open and not yet ready."""
    auth = {"mode": "token", "token": TOKEN}
    # Without its UI a start writes 54 MB less.
    config = {"gateway": {"auth": auth, "trustedProxies": ["127.0.0.1"], "controlUi": {"enabled": False}}}
    gateway = LiveGateway(openclaw, tmp_path_factory.mktemp("token"), config)
    gateway.start()
    try:
        gateway.wait_until_open()
        yield gateway
    finally:
        gateway.stop()


@pytest.fixture(scope="module")
def refused_at_start(starting: LiveGateway) -> Outcome:
    """What a client with a wrong token was told while the gateway started: starting comes before the token."""
    return asyncio.run(outcome_of(starting.url, connect(token="wrong")))


@pytest.fixture(scope="module")
def token_gateway(starting: LiveGateway, refused_at_start: Outcome) -> LiveGateway:
    starting.wait_until_ready()
    return starting


# While it starts


async def test_starting_is_said_before_anything_else(refused_at_start: Outcome) -> None:
    assert_same(refused_at_start, r.GatewayStarting())


# A gateway with a token


# Logging in from here pairs a device, so this is not the one that is expected to be unknown.
@pytest.mark.parametrize("device", [None, DeviceKey(b"1" * 32)], ids=["no device", "device"])
async def test_our_client_logs_in_with_a_token(token_gateway: LiveGateway, device: Any) -> None:
    handshake = ClientHandshake(CLI, scopes=SCOPES, token=TOKEN, device=device, caps=["tool-events"])
    hello = await log_in(token_gateway.url, handshake)
    assert (hello["protocol"], hello["auth"]["method"], hello["auth"]["role"]) == (4, "token", "operator")
    assert set(hello["auth"]["scopes"]) == set(SCOPES)


async def test_our_client_says_what_a_refusal_means(token_gateway: LiveGateway) -> None:
    with pytest.raises(ConnectRefused) as caught:
        await log_in(token_gateway.url, ClientHandshake(CLI, token="wrong"), remote(20))
    assert caught.value.is_final and not caught.value.is_not_yet


async def test_a_binary_connect_is_accepted(token_gateway: LiveGateway) -> None:
    async with conversation(token_gateway.url) as (socket, challenge):
        frame = connect(token=TOKEN)(challenge)[0]
        await socket.send(frame, text=False)
        answer = frames.parse_frame(await asyncio.wait_for(socket.recv(), ANSWER_TIMEOUT))
        assert isinstance(answer, frames.Response) and answer.ok


FIRST_MESSAGES = {
    "not JSON": message("hello"),
    "binary rubbish": message(b"\xff\xfe"),
    "not a frame": message('{"a":1}'),
    "an array": message("[]"),
    "a response": message('{"type":"res","id":"1","ok":true}'),
    "another method": message(frames.request(REQUEST_ID, "health").decode()),
    "64 KiB": message('"' + "x" * 65_534 + '"'),
    "over 64 KiB": message('"' + "x" * 65_535 + '"'),
    "no params": message(f'{{"type":"req","id":"{REQUEST_ID}","method":"connect"}}'),
    "unknown client and property": connect(CLI | {"id": "someone"}, more=1),
    "wrong types everywhere": connect(CLI | {"version": 1, "zip": 1}, caps={}, auth={"token": 1}, pathEnv=None),
    "an overlong reason": connect(CLI | {"displayName": "", "buildId": "b" * 97, "instanceId": "", "timeZone": ""}),
    "a worker": connect(CLI | {"mode": "worker"}),
    "protocol 3": connect(minProtocol=3, maxProtocol=3),
    "protocol 5": connect(minProtocol=5, maxProtocol=6),
    "another role": connect(role="admin"),
    "a copilot without its mode": connect(CLI | {"id": "openclaw-browser-copilot"}),
    "another nonce": connect(token=TOKEN, device=lambda d: d | {"nonce": "another"}),
    "a blank nonce": connect(token=TOKEN, device=lambda d: d | {"nonce": " "}),
    "another device id": connect(token=TOKEN, device=lambda d: d | {"id": "0" * 64}),
    "signed too early": connect(token=TOKEN, device=lambda d: d | {"signedAt": d["signedAt"] - 125_000}),
    "signed ahead": connect(token=TOKEN, device=lambda d: d | {"signedAt": d["signedAt"] + 125_000}),
    "another signature": connect(token=TOKEN, device=lambda d: d | {"signature": "A" * 86}),
    "a short key": connect(
        token=TOKEN, device=lambda d: d | {"publicKey": "AAAA", "id": hashlib.sha256(bytes(3)).hexdigest()}
    ),
    "a proof for another token": connect(
        token=TOKEN, device=lambda d: KEY.claim(CLI, "operator", ["operator.read"], "t", d["nonce"], d["signedAt"])
    ),
}


@pytest.mark.parametrize("say", FIRST_MESSAGES.values(), ids=FIRST_MESSAGES)
async def test_a_first_message_is_refused_as_we_refuse_it(token_gateway: LiveGateway, say: Say) -> None:
    outcome = await outcome_of(token_gateway.url, say)
    handshake = ServerHandshake(Challenge("our-nonce", 1_795_500_000_000))
    [sent] = say(handshake.challenge)
    with pytest.raises(r.Rejection) as caught:
        handshake.receive(sent, handshake.challenge.ts)
    assert_same(outcome, caught.value)


def _remote_case(
    say: Say, rejection: r.Rejection, host: int, **headers: str
) -> tuple[Say, r.Rejection, dict[str, str]]:
    return say, rejection, {**remote(host), **headers}


CREDENTIALS: dict[str, tuple[Say, r.Rejection, dict[str, str]]] = {
    "nothing": (connect(), r.DeviceIdentityRequired(), {}),
    "an empty token": (connect(token=""), r.DeviceIdentityRequired(), {}),
    "TUI without a device": (connect(TUI, token=TOKEN), r.ControlUiDeviceIdentityRequired(), {}),
    "wrong, CLI here": (connect(token="x"), r.TokenMismatch(client_info(CLI), local=True), {}),
    "wrong, CLI": _remote_case(connect(token="x"), r.TokenMismatch(client_info(CLI)), 1),
    "wrong, backend": _remote_case(connect(BACKEND, token="x"), r.TokenMismatch(client_info(BACKEND)), 2),
    "wrong, TUI": _remote_case(
        connect(TUI, token="x", device=True), r.TokenMismatch(client_info(TUI), device_token_retry=True), 3
    ),
    "wrong password": _remote_case(connect(auth={"password": "x"}), r.TokenMismatch(client_info(CLI)), 4),
    "missing, CLI here": (connect(device=True), r.TokenMissing(client_info(CLI), local=True), {}),
    "missing, CLI": _remote_case(connect(device=True), r.TokenMissing(client_info(CLI)), 5),
    "missing, TUI": _remote_case(connect(TUI, device=True), r.TokenMissing(client_info(TUI)), 5),
    "missing, backend": _remote_case(connect(BACKEND, device=True), r.TokenMissing(client_info(BACKEND)), 6),
    "no origin": (
        connect(CONTROL_UI, token=TOKEN, device=True),
        r.OriginNotAllowed("origin missing or invalid"),
        {},
    ),
    "foreign origin": (
        connect(CONTROL_UI, token=TOKEN, device=True),
        r.OriginNotAllowed(),
        {"Origin": "https://evil.example"},
    ),
    "foreign origin of any client": (connect(token=TOKEN), r.OriginNotAllowed(), {"Origin": "https://evil.example"}),
}


@pytest.mark.parametrize(("say", "rejection", "headers"), CREDENTIALS.values(), ids=CREDENTIALS)
async def test_credentials_are_refused_in_these_words(
    token_gateway: LiveGateway, say: Say, rejection: r.Rejection, headers: dict[str, str]
) -> None:
    assert_same(await outcome_of(token_gateway.url, say, headers), rejection)


async def test_an_unknown_device_must_be_paired(token_gateway: LiveGateway) -> None:
    outcome = await outcome_of(token_gateway.url, connect(token=TOKEN, device=True), remote(30))
    assert outcome.error is not None
    pairing_id = outcome.error["details"]["requestId"]
    assert_same(outcome, r.PairingRequired(pairing_id, KEY.id, "operator", ["operator.read"]))


async def test_after_ten_failures_it_is_rate_limited(token_gateway: LiveGateway) -> None:
    async def refused() -> Outcome:
        return await outcome_of(token_gateway.url, connect(BACKEND, token="x"), remote(40))

    first = [await refused() for _ in range(10)]
    assert all(outcome.error is not None and "retryAfterMs" not in outcome.error for outcome in first)
    outcome = await refused()
    assert outcome.error is not None
    assert_same(outcome, r.RateLimited(outcome.error["retryAfterMs"]))


async def test_a_flood_behind_connect_is_refused(token_gateway: LiveGateway) -> None:
    # A wrong token from this machine, which the gateway makes wait for its refusal: all others are through at once.
    def say(challenge: Challenge) -> list[bytes | str]:
        return [*connect(token="x")(challenge), *(frames.request(str(n), "health") for n in range(40))]

    assert_same(await outcome_of(token_gateway.url, say), r.TooManyPendingFrames())


async def test_a_bad_frame_after_hello_is_answered_as_we_answer_it(token_gateway: LiveGateway) -> None:
    bad = ['{"a":1}', "[]", '{"type":"req","id":"5","method":"x","zz":1}', '{"type":"req","id":7,"method":"x"}']
    async with conversation(token_gateway.url) as (socket, challenge):
        await shake_hands(socket, challenge, ClientHandshake(CLI, token=TOKEN))
        for text in bad:
            await socket.send(text)
            answer = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_TIMEOUT))
            with pytest.raises(frames.InvalidFrame) as caught:
                frames.parse_frame(text)
            assert answer == json.loads(caught.value.answer())


async def test_silence_is_closed_after_15_seconds(token_gateway: LiveGateway) -> None:
    assert_same(await outcome_of(token_gateway.url, lambda _challenge: []), r.HandshakeTimeout())


# This ends connections that live and leaves the gateway changed, so it comes last


async def test_a_changed_token_closes_every_client(token_gateway: LiveGateway) -> None:
    async with conversation(token_gateway.url) as (socket, challenge):
        await shake_hands(socket, challenge, ClientHandshake(CLI, token=TOKEN))
        token_gateway.config["gateway"]["auth"]["token"] = "another"
        token_gateway.write_config()
        outcome = await listen(socket)
    assert (outcome.code, outcome.reason) == (r.AuthChanged().close_code, r.AuthChanged().close_reason)
