"""Handshakes over a real socket: who gets in, with which scopes, and how the others are refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from native_world import (
    ALL_SCOPES,
    CLI,
    PROXY_AUTH,
    PROXY_HEADERS,
    TOKEN,
    USER,
    NativeGateway,
    Operator,
    Refused,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from openclaw_protocol.device import DeviceKey


@pytest.fixture
async def proxied(native: NativeGateway) -> NativeGateway:
    native.config["gateway"]["auth"] = PROXY_AUTH
    native.config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    native.config["gateway"]["controlUi"] = {"allowedOrigins": ["https://gw.example.com"]}
    return await native.start()


async def test_hello_has_what_clients_read(gateway: NativeGateway, operator: Operator) -> None:
    hello = operator.hello
    assert (hello["type"], hello["protocol"]) == ("hello-ok", 4)
    assert hello["server"]["version"] == "2026.9.6"
    assert hello["auth"]["scopes"] == sorted(ALL_SCOPES)
    assert hello["policy"]["maxPayload"] == 25 * 2**20
    assert hello["policy"]["maxBufferedBytes"] == 50 * 2**20
    assert hello["policy"]["tickIntervalMs"] == 30_000
    assert hello["snapshot"]["sessionDefaults"]["mainSessionKey"] == "agent:main:main"
    assert hello["snapshot"]["stateDir"] == str(gateway.state)
    assert "chat.send" in hello["features"]["methods"]


async def test_every_listed_method_exists(operator: Operator) -> None:
    for method in operator.hello["features"]["methods"]:
        try:
            await operator.call(method, {"no such parameter": None})
        except Refused as refused:
            assert "unknown method" not in str(refused)
            assert "see the gateway's log" not in str(refused)


async def test_paths_are_hidden_without_admin(gateway: NativeGateway) -> None:
    client = await gateway.operator(scopes=("operator.read",))
    assert "stateDir" not in client.hello["snapshot"]
    await client.close()


async def test_wrong_and_missing_tokens(gateway: NativeGateway) -> None:
    with pytest.raises(Refused) as wrong:
        await gateway.operator(token="wrong")
    assert wrong.value.error["details"]["code"] == "AUTH_TOKEN_MISMATCH"
    with pytest.raises(Refused) as missing:
        await gateway.operator(token=None)
    assert missing.value.error["details"]["code"] == "AUTH_TOKEN_MISSING"


async def test_nodes_are_refused_for_good(gateway: NativeGateway) -> None:
    node = {"id": "node-host", "version": "2026.9.6", "platform": "linux", "mode": "node"}
    with pytest.raises(Refused, match="this gateway does not serve nodes") as refused:
        await gateway.operator(client=node, role="node", scopes=())
    assert refused.value.error["details"]["code"] == "AUTH_SCOPE_MISMATCH"


async def test_a_password_field_holds_the_token_too(gateway: NativeGateway) -> None:
    client = await gateway.operator(token=None, auth={"password": TOKEN})
    await client.close()


async def test_a_device_proof_is_verified(gateway: NativeGateway) -> None:
    key = DeviceKey(b"1" * 32)
    async with connect(gateway.url, ping_interval=None) as socket:
        challenge = json.loads(await socket.recv())["payload"]
        claim = key.claim(CLI, "operator", ["operator.read"], TOKEN, "another nonce", challenge["ts"])
        params = {"minProtocol": 4, "maxProtocol": 4, "client": CLI, "role": "operator", "scopes": ["operator.read"]}
        params |= {"auth": {"token": TOKEN}, "device": claim}
        await socket.send(json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}))
        assert json.loads(await socket.recv())["error"]["details"]["code"] == "DEVICE_AUTH_NONCE_MISMATCH"


async def test_the_proxy_vouches_for_its_tenant(proxied: NativeGateway) -> None:
    client = await proxied.operator(token=None, headers=PROXY_HEADERS)
    assert client.hello["auth"]["method"] == "trusted-proxy"
    assert client.hello["auth"]["scopes"] == sorted(ALL_SCOPES)
    await client.close()


async def test_the_proxy_caps_scopes(proxied: NativeGateway) -> None:
    headers = {**PROXY_HEADERS, "X-OpenClaw-Scopes": "operator.read, operator.talk"}
    client = await proxied.operator(token=None, headers=headers)
    assert client.hello["auth"]["scopes"] == ["operator.read"]
    with pytest.raises(Refused) as refused:
        await client.chat("hello")
    assert refused.value.code == "FORBIDDEN"
    assert refused.value.error["details"] == {
        "code": "MISSING_SCOPE",
        "missingScope": "operator.write",
        "requiredScopes": ["operator.write"],
    }
    await client.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"x-openclaw-tenant": USER + "0"}, "AUTH_UNAUTHORIZED"),
        ({"x-openclaw-tenant": USER[:-1]}, "AUTH_UNAUTHORIZED"),
        ({"x-openclaw-tenant": ""}, "AUTH_UNAUTHORIZED"),
        ({"x-openclaw-router": ""}, "AUTH_IDENTITY_HEADER_REQUIRED"),
    ],
)
async def test_identities_that_are_refused(proxied: NativeGateway, change: dict[str, str], code: str) -> None:
    headers = {name: value for name, value in {**PROXY_HEADERS, **change}.items() if value}
    with pytest.raises(Refused) as refused:
        await proxied.operator(token=TOKEN, headers=headers)
    assert refused.value.error["details"]["code"] == code


@pytest.mark.parametrize("forwarded", ["127.0.0.1", "192.0.2.1, 127.0.0.1", ""])
async def test_a_proxy_that_does_not_name_its_client_gets_403(proxied: NativeGateway, forwarded: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await proxied.operator(token=None, headers={**PROXY_HEADERS, "X-Forwarded-For": forwarded})
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["error"]["type"] == "proxy_attribution_required"


async def test_forwarding_headers_of_a_stranger_get_403(gateway: NativeGateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await gateway.operator(headers={"X-Forwarded-For": "192.0.2.1"})
    assert refused.value.response.status_code == 403


async def test_browsers_must_come_from_an_allowed_page(proxied: NativeGateway) -> None:
    browser = {"id": "openclaw-control-ui", "version": "2026.9.6", "platform": "web", "mode": "webchat"}
    allowed = {**PROXY_HEADERS, "Origin": "https://gw.example.com"}
    client = await proxied.operator(token=None, headers=allowed, client=browser)
    await client.close()
    for origin in ({"Origin": "https://evil.example.com"}, {}):
        with pytest.raises(Refused) as refused:
            await proxied.operator(token=None, headers={**PROXY_HEADERS, **origin}, client=browser)
        assert refused.value.error["details"]["code"] == "CONTROL_UI_ORIGIN_NOT_ALLOWED"


async def test_frames_behind_connect_are_served_in_order(gateway: NativeGateway) -> None:
    async with connect(gateway.url, ping_interval=None, max_size=None) as socket:
        await socket.recv()
        params = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": CLI,
            "scopes": list(ALL_SCOPES),
            "auth": {"token": TOKEN},
        }
        requests = [{"type": "req", "id": "0", "method": "connect", "params": params}]
        requests += [{"type": "req", "id": str(number), "method": "health"} for number in range(1, 41)]
        for request in requests:
            await socket.send(json.dumps(request))
        answers = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in requests]
    assert [answer["id"] for answer in answers] == [request["id"] for request in requests]
    assert all(answer["ok"] for answer in answers)


SUBPROTOCOLS = [Subprotocol("one"), Subprotocol("two")]


async def test_any_path_upgrades_and_the_first_subprotocol_is_echoed(gateway: NativeGateway) -> None:
    async with connect(f"{gateway.url}/t/acme?x=1", subprotocols=SUBPROTOCOLS) as socket:
        assert socket.subprotocol == "one"
        assert json.loads(await socket.recv())["event"] == "connect.challenge"


FRAMES: list[tuple[str | bytes, int, str]] = [
    ("no json", 1000, ""),
    ("[]", 1008, "invalid request frame"),
    ('{"type":"req","id":"1","method":"health"}', 1008, "invalid handshake: first request must be connect"),
    ("x" * 70_000, 1009, ""),
]


@pytest.mark.parametrize(("frame", "code", "reason"), FRAMES)
async def test_first_frames_that_are_refused(gateway: NativeGateway, frame: str, code: int, reason: str) -> None:
    async with connect(gateway.url, ping_interval=None) as socket:
        await socket.recv()
        await socket.send(frame)
        with pytest.raises(ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), 10)
        assert (socket.close_code, socket.close_reason) == (code, reason)


async def test_bad_frames_after_hello_leave_the_socket_open(operator: Operator) -> None:
    await operator.send_raw("no json")
    await operator.send_raw('{"type":"event","event":"x"}')
    with pytest.raises(Refused, match=r"unknown method: no\.such"):
        await operator.call("no.such")
    with pytest.raises(Refused, match="connect is only valid as the first request"):
        await operator.call("connect", {})
    assert (await operator.call("health"))["ok"]


async def test_large_requests_are_taken_after_hello(operator: Operator) -> None:
    params: dict[str, Any] = {"sessionKey": "big", "message": "x" * 2_000_000, "idempotencyKey": str(uuid.uuid4())}
    assert (await operator.call("chat.send", params))["status"] == "started"
