"""What no gateway is needed to see; the `test_live_gateway_*.py` compare the words with upstream's."""

from __future__ import annotations

import json

import pytest

from openclaw_protocol import rejections as r
from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.errors import ErrorShape
from openclaw_protocol.frames import Response, parse_frame

CLI = ClientInfo(id="cli", version="1", platform="linux", mode="cli")
UI = ClientInfo(id="openclaw-control-ui", version="1", platform="web", mode="webchat")
WEBCHAT = ClientInfo(id="webchat", version="1", platform="web", mode="webchat")
APP = ClientInfo(id="openclaw-ios", version="1", platform="ios", mode="ui")

ALL = [
    r.NotJson(),
    r.InvalidFrame(),
    r.FrameTooLarge(),
    r.HandshakeTimeout(),
    r.TooManyPendingFrames(),
    r.WorkerRefused(),
    r.NotConnect(),
    r.InvalidConnectParams("at /client/id: must be string"),
    r.ProtocolMismatch(5, 6),
    r.InvalidRole(),
    r.InvalidClient(),
    r.OriginNotAllowed(),
    r.TokenMismatch(CLI),
    r.TokenMissing(CLI),
    r.RateLimited(1000),
    r.IdentityHeaderRequired("x"),
    r.IdentityRefused(),
    r.DeviceIdentityRequired(),
    r.ControlUiDeviceIdentityRequired(),
    r.PairingRequired("p", "d", "node", []),
    r.DeviceIdMismatch(),
    r.DeviceSignatureExpired(),
    r.DeviceNonceRequired(),
    r.DeviceNonceMismatch(),
    r.DeviceSignatureInvalid(),
    r.DevicePublicKeyInvalid(),
    r.GatewayStarting(),
    r.GatewayDraining(),
    r.AuthChanged(),
    r.PolicyChanged(),
]


@pytest.mark.parametrize("rejection", ALL, ids=lambda rejection: type(rejection).__name__)
def test_each_knows_its_response_and_its_close(rejection: r.Rejection) -> None:
    assert rejection.close_code in (1000, 1002, 1008, 1009, 1013, 4001)
    assert len(rejection.close_reason.encode()) <= 120
    assert str(rejection)
    answer = rejection.response("the-id")
    assert (answer is None) == (rejection.error is None)
    if answer is not None:
        assert parse_frame(answer) == Response("the-id", ok=False, error=rejection.error)
        assert rejection.response() is None


def test_the_id_may_come_with_the_rejection() -> None:
    rejection = r.GatewayStarting(retry_after_ms=250)
    rejection.request_id = "mine"
    assert json.loads(rejection.response() or b"") == {
        "type": "res",
        "id": "mine",
        "ok": False,
        "error": {
            "code": "UNAVAILABLE",
            "message": "gateway starting; retry shortly",
            "details": {"reason": "startup-sidecars"},
            "retryable": True,
            "retryAfterMs": 250,
        },
    }
    assert json.loads(rejection.response("another") or b"")["id"] == "another"


@pytest.mark.parametrize(
    ("client", "mismatch", "missing"),
    [
        (CLI, "set gateway.remote.token to match gateway.auth.token", None),
        (
            UI,
            "open the dashboard URL and paste the token in Control UI settings",
            "paste in Control UI settings or openclaw doctor --generate-gateway-token; restart",
        ),
        (
            WEBCHAT,
            "open the dashboard URL and paste the token in Control UI settings",
            "paste in Control UI settings or openclaw doctor --generate-gateway-token; restart",
        ),
        (APP, "provide gateway auth token", None),
        (None, "provide gateway auth token", None),
    ],
)
def test_the_hint_is_for_the_client(client: ClientInfo | None, mismatch: str, missing: str | None) -> None:
    assert r.TokenMismatch(client).close_reason == f"unauthorized: gateway token mismatch ({mismatch})"
    assert r.TokenMissing(client).close_reason == f"unauthorized: gateway token missing ({missing or mismatch})"


def test_a_long_reason_is_cut_between_characters() -> None:
    rejection = r.Rejection(ErrorShape("INVALID_REQUEST", "x"), 1008, "x" * 119 + "\u00e9")
    assert rejection.close_reason == "x" * 119


def test_upstreams_invitation_to_use_a_device_token_is_only_made_on_demand() -> None:
    for retry, step in ((False, "update_auth_credentials"), (True, "retry_with_device_token")):
        error = r.TokenMismatch(CLI, device_token_retry=retry).error
        assert error is not None
        assert error.detail_code == "AUTH_TOKEN_MISMATCH"
        assert (error.details["canRetryWithDeviceToken"], error.details["recommendedNextStep"]) == (retry, step)
