"""Our client code against the real gateway, and every refusal that it can be made to show, word for word."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from connects import BACKEND, CLI, CONTROL_UI, KEY, NODE, REQUEST_ID, TUI, Say, connect, message, remote
from live_gateway import ANSWER_TIMEOUT, LiveGateway, Outcome, conversation, listen, outcome_of
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from deadlines import eventually
from openclaw_protocol import frames
from openclaw_protocol import hello as hello_module
from openclaw_protocol import rejections as r
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.client import ClientHandshake, ConnectRefused
from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.device import DeviceKey
from openclaw_protocol.server import ServerHandshake
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

pytestmark = pytest.mark.openclaw

TOKEN = "the-token"
USER = "tenant-acme-8f2c"
SCOPES = ("operator.admin", "operator.read", "operator.write", "operator.approvals")
IDENTITY = {**remote(7), "x-openclaw-tenant": USER, "x-openclaw-router": "1", "X-OpenClaw-Scopes": ",".join(SCOPES)}
"""What the router sends in front of a client."""

ORIGIN = {"Origin": "https://gw.example.com"}


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


@pytest.fixture(scope="module")
def proxy_gateway(openclaw: OpenClawRuntime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    """A gateway as a tenant's, which believes the router's headers."""
    auth = {
        "mode": "trusted-proxy",
        "identityScopes": {USER: list(SCOPES)},
        "trustedProxy": {
            "userHeader": "x-openclaw-tenant",
            "requiredHeaders": ["x-openclaw-router"],
            "allowUsers": [USER],
            "allowLoopback": True,
        },
    }
    control_ui = {"enabled": False, "allowedOrigins": list(ORIGIN.values())}
    config = {"gateway": {"auth": auth, "trustedProxies": ["127.0.0.1"], "controlUi": control_ui}}
    gateway = LiveGateway(openclaw, tmp_path_factory.mktemp("proxy"), config)
    gateway.start()
    try:
        gateway.wait_until_ready()
        yield gateway
    finally:
        gateway.stop()


def assert_same(outcome: Outcome, rejection: r.Rejection) -> None:
    """The gateway's words and ours are the same, to the last byte of the close reason."""
    answer = rejection.response(REQUEST_ID)
    assert outcome.error == (None if answer is None else json.loads(answer)["error"])
    assert (outcome.code, outcome.reason) == (rejection.close_code, rejection.close_reason)


async def log_in(url: str, handshake: ClientHandshake, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Log in with our client code and return the hello."""
    async with conversation(url, headers) as (socket, challenge):
        await shake_hands(socket, challenge, handshake)
    assert handshake.hello is not None
    return handshake.hello


async def shake_hands(socket: ClientConnection, challenge: Challenge, handshake: ClientHandshake) -> bytes:
    """Go through the handshake; return the hello as it came."""
    await socket.send(handshake.receive(challenge.event()) or b"", text=True)
    while True:
        frame = await asyncio.wait_for(socket.recv(decode=False), ANSWER_TIMEOUT)
        handshake.receive(frame)
        if handshake.hello is not None:
            return frame


async def call(socket: ClientConnection, method: str, params: dict[str, Any]) -> Any:
    """Call a method of a logged-in connection."""
    await socket.send(frames.request(method, method, params), text=True)
    async with asyncio.timeout(ANSWER_TIMEOUT):
        while True:
            frame = frames.parse_frame(await socket.recv())
            if isinstance(frame, frames.Response) and frame.id == method:
                assert frame.ok, frame.error
                return frame.payload


def client_info(client: dict[str, Any]) -> ClientInfo:
    return ClientInfo(**client)


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


# A tenant's gateway, behind the router


@pytest.mark.parametrize("client", [CLI, TUI, CONTROL_UI, BACKEND], ids=lambda client: client["id"])
async def test_our_client_logs_in_as_the_router_does(proxy_gateway: LiveGateway, client: dict[str, Any]) -> None:
    headers = IDENTITY | (ORIGIN if client is CONTROL_UI else {})
    async with conversation(proxy_gateway.url, headers) as (socket, challenge):
        handshake = ClientHandshake(client, scopes=SCOPES)
        frame = await shake_hands(socket, challenge, handshake)
    assert handshake.hello is not None
    assert set(handshake.hello["auth"]["scopes"]) == set(SCOPES)
    assert handshake.hello["snapshot"]["authMode"] == "trusted-proxy"
    restored = hello_module.restore_hello(frame, "the client's")
    assert restored == hello_module.restore_hello_slowly(frame, "the client's")
    seen = json.loads(restored.frame)
    assert (seen["id"], seen["payload"]["snapshot"]["authMode"]) == ("the client's", "token")


def _without(name: str) -> dict[str, str]:
    return {key: value for key, value in IDENTITY.items() if key != name}


_STRANGER = IDENTITY | {"x-openclaw-tenant": "tenant-acme"}
_MISSING_HEADER = r.IdentityHeaderRequired("X-OpenClaw-Router")

IDENTITIES: dict[str, tuple[Say, r.Rejection, dict[str, str]]] = {
    "another user": (connect(), r.DeviceIdentityRequired(), _STRANGER),
    "another user, with a token": (connect(token="x"), r.IdentityRefused(), _STRANGER),
    "another user, with a device": (connect(device=True), r.IdentityRefused(), _STRANGER),
    "no user": (connect(token="x"), r.IdentityRefused("trusted_proxy_user_missing"), _without("x-openclaw-tenant")),
    "no proof": (connect(), r.DeviceIdentityRequired(), _without("x-openclaw-router")),
    "no proof, with a token": (connect(token="x"), _MISSING_HEADER, _without("x-openclaw-router")),
    "no proof, with a device": (connect(device=True), _MISSING_HEADER, _without("x-openclaw-router")),
    "no proof, TUI": (connect(TUI, token="x"), r.ControlUiDeviceIdentityRequired(), _without("x-openclaw-router")),
    "no proof, node": (
        connect(NODE, role="node", token="x", device=True),
        r.IdentityHeaderRequired("x-openclaw-router", client_info(NODE)),
        _without("x-openclaw-router"),
    ),
    "straight to it": (connect(token="x"), _MISSING_HEADER, {}),
    "foreign origin": (connect(CONTROL_UI), r.OriginNotAllowed(), IDENTITY | {"Origin": "https://evil.example"}),
}


@pytest.mark.parametrize(("say", "rejection", "headers"), IDENTITIES.values(), ids=IDENTITIES)
async def test_identities_are_refused_in_these_words(
    proxy_gateway: LiveGateway, say: Say, rejection: r.Rejection, headers: dict[str, str]
) -> None:
    assert_same(await outcome_of(proxy_gateway.url, say, headers), rejection)


async def test_a_node_must_be_paired_also_behind_the_router(proxy_gateway: LiveGateway) -> None:
    outcome = await outcome_of(proxy_gateway.url, connect(NODE, role="node", scopes=(), device=True), IDENTITY)
    assert outcome.error is not None
    pairing_id = outcome.error["details"]["requestId"]
    assert_same(outcome, r.PairingRequired(pairing_id, KEY.id, "node", []))


@pytest.mark.parametrize("headers", [_without("X-Forwarded-For"), IDENTITY | {"X-Forwarded-For": "127.0.0.1"}])
async def test_a_proxy_that_names_no_client_gets_no_upgrade(
    proxy_gateway: LiveGateway, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await outcome_of(proxy_gateway.url, connect(), headers)
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body)["error"]["type"] == "proxy_attribution_required"


async def test_a_gateway_being_suspended_takes_no_nodes(proxy_gateway: LiveGateway) -> None:
    async with conversation(proxy_gateway.url, IDENTITY) as (socket, challenge):
        await shake_hands(socket, challenge, ClientHandshake(CLI, scopes=SCOPES))

        async def prepared() -> str | None:
            answer = await call(socket, "gateway.suspend.prepare", {"requestId": "suspend"})
            suspension: str | None = answer.get("suspensionId")
            return suspension

        suspension = await eventually(prepared, 60, "nothing running any more")
        outcome = await outcome_of(proxy_gateway.url, connect(NODE, role="node", device=True), IDENTITY)
        await call(socket, "gateway.suspend.resume", {"suspensionId": suspension})
    assert_same(outcome, r.GatewayDraining("gateway-suspending", "prepared"))


# What ends a connection that lives; each leaves the gateway changed, so these come last


async def test_a_changed_policy_closes_every_client(proxy_gateway: LiveGateway) -> None:
    async with conversation(proxy_gateway.url, IDENTITY) as (socket, challenge):
        await shake_hands(socket, challenge, ClientHandshake(CLI, scopes=SCOPES))
        proxy_gateway.config["gateway"]["auth"]["trustedProxy"]["allowUsers"].append("another")
        proxy_gateway.write_config()
        outcome = await listen(socket)
    assert (outcome.code, outcome.reason) == (r.PolicyChanged().close_code, r.PolicyChanged().close_reason)


async def test_a_changed_token_closes_every_client(token_gateway: LiveGateway) -> None:
    async with conversation(token_gateway.url) as (socket, challenge):
        await shake_hands(socket, challenge, ClientHandshake(CLI, token=TOKEN))
        token_gateway.config["gateway"]["auth"]["token"] = "another"
        token_gateway.write_config()
        outcome = await listen(socket)
    assert (outcome.code, outcome.reason) == (r.AuthChanged().close_code, r.AuthChanged().close_reason)


async def test_a_gateway_that_finishes_its_work_takes_nobody(proxy_gateway: LiveGateway, llm: FakeLLM) -> None:
    model = {"id": "fake-model", "name": "Fake", "reasoning": False, "input": ["text"], "contextWindow": 128_000}
    provider = {"baseUrl": llm.base_url, "apiKey": "sk-fake", "api": "openai-completions", "models": [model]}
    proxy_gateway.config["models"] = {"mode": "replace", "providers": {"fake": provider}}
    proxy_gateway.config["agents"] = {"defaults": {"model": {"primary": "fake/fake-model"}}}
    proxy_gateway.write_config()
    async with conversation(proxy_gateway.url, IDENTITY) as (socket, challenge):
        await shake_hands(socket, challenge, ClientHandshake(CLI, scopes=SCOPES))

        async def knows_the_model() -> bool:
            return "fake-model" in json.dumps(await call(socket, "models.list", {}))

        async def no_upgrade_any_more() -> bool:
            async with conversation(proxy_gateway.url, IDENTITY):
                return False

        await eventually(knows_the_model, 60, "the edited config in force")
        message = {"sessionKey": "agent:main:main", "message": "HOLD", "idempotencyKey": "a-long-run"}
        await call(socket, "chat.send", message)
        await eventually(lambda: llm.requests, 60, "the run under way")
        # One is at the door already when it starts to finish; whoever comes later does not get that far.
        async with conversation(proxy_gateway.url, IDENTITY) as (early, its_challenge):
            proxy_gateway.terminate()
            with pytest.raises(InvalidStatus) as caught:
                await eventually(no_upgrade_any_more, 30, "draining")
            [connect_frame] = connect()(its_challenge)
            await early.send(connect_frame)
            assert_same(await listen(early), r.GatewayDraining())
        assert caught.value.response.status_code == 503
        llm.release()
        outcome = await listen(socket)
    assert (outcome.code, outcome.reason) == (1012, "service restart")
