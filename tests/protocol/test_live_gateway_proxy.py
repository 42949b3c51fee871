"""Our client code against the real gateway as a tenant has it, behind the router: what it lets in, and its refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from connects import BACKEND, CLI, CONTROL_UI, KEY, NODE, TUI, Say, connect, remote
from live_gateway import (
    SCOPES,
    LiveGateway,
    assert_same,
    call,
    client_info,
    conversation,
    listen,
    outcome_of,
    shake_hands,
)
from websockets.exceptions import InvalidStatus

from deadlines import eventually
from openclaw_protocol import hello as hello_module
from openclaw_protocol import rejections as r
from openclaw_protocol.client import ClientHandshake
from openclaw_tenancy.demo.fakellm import FakeLLM
from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime

pytestmark = pytest.mark.openclaw

USER = "tenant-acme-8f2c"
IDENTITY = {**remote(7), "x-openclaw-tenant": USER, "x-openclaw-router": "1", "X-OpenClaw-Scopes": ",".join(SCOPES)}
"""What the router sends in front of a client."""

ORIGIN = {"Origin": "https://gw.example.com"}


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
