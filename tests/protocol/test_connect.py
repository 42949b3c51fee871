from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_protocol import rejections as r
from openclaw_protocol.connect import MAX_CONNECT_BYTES, parse_connect
from openclaw_protocol.schema import CONNECT_PARAMS

Change = Callable[[dict[str, Any]], Any]


def connect(change: Change | None = None) -> bytes:
    frame = json.loads(recorded.CONNECT_TUI)
    if change is not None:
        change(frame["params"])
    return json.dumps(frame).encode()


def test_the_tui_is_read() -> None:
    request = parse_connect(recorded.CONNECT_TUI)
    params = request.params
    assert request.id == "1:2b505bca-6b9e-4fb6-8e66-2978915b6f79"
    assert params.raw == recorded.params_of(recorded.CONNECT_TUI)
    assert (params.client.id, params.client.mode, params.client.device_family) == ("openclaw-tui", "ui", "Linux")
    assert params.client.is_operator_ui and not params.client.is_cli and not params.client.must_send_origin
    assert params.role == "operator"
    assert params.scopes == ("operator.admin", "operator.read", "operator.write", "operator.approvals")
    assert params.caps == ("agent-kind", "plugin-approvals", "task-suggestions", "tool-events")
    assert params.token == "tok-1"
    assert params.device is not None and params.device.signed_at == 1795511085532


@pytest.mark.parametrize("as_text", [True, False])
def test_text_and_binary_are_equal(as_text: bool) -> None:
    data = recorded.CONNECT_CLI.decode() if as_text else recorded.CONNECT_CLI
    assert parse_connect(data).params.client.is_cli


@pytest.mark.parametrize(
    ("auth", "token", "signed"),
    [
        ({"token": "t", "password": "p"}, "t", "t"),
        ({"password": "p"}, "p", ""),
        ({"token": "", "password": "p"}, "p", ""),
        ({"token": ""}, None, ""),
        ({"deviceToken": "d", "bootstrapToken": "b"}, None, "d"),
        ({"token": "", "deviceToken": "d"}, None, ""),
        ({"bootstrapToken": "b"}, None, "b"),
        ({}, None, ""),
    ],
)
def test_which_token_counts(auth: dict[str, str], token: str | None, signed: str) -> None:
    params = parse_connect(connect(lambda p: p.update(auth=auth))).params
    assert (params.token, params.signature_token) == (token, signed)


def test_what_is_left_out_has_upstreams_defaults() -> None:
    minimal = {
        name: recorded.params_of(recorded.CONNECT_TUI)[name] for name in ("minProtocol", "maxProtocol", "client")
    }
    params = parse_connect(json.dumps({"type": "req", "id": "1", "method": "connect", "params": minimal})).params
    assert (params.role, params.scopes, params.caps, params.token, params.device) == ("operator", (), (), None, None)
    assert "scopes" not in params.raw


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(minProtocol=4.0, maxProtocol=4.0),
        lambda p: p["device"].update(signedAt=1795511085532.0),
        lambda p: p.update(maxProtocol=10**30),
        lambda p: p.update(computerUse=None),
        lambda p: p.update(permissions={"two\nlines": 1}),
        lambda p: p.update(modelCatalog={"agentId": "main", "sessionKey": "k"}),
        lambda p: p.update(modelCatalog={"shortId": "s", "slugHint": "h"}),
        lambda p: p.update(workerRuns={"bundleHash": "a" * 64, "openclawVersion": "1", "protocolFeatures": []}),
        lambda p: p["client"].update(displayName="half a \ud83d pair"),
        lambda p: p["client"].update(buildId="b" * 96, timeZone="Europe/Vienna"),
        lambda p: p.update(minProtocol=3, maxProtocol=3, client=p["client"] | {"mode": "probe"}),
        lambda p: p.update(minProtocol=3, maxProtocol=3, role="node", client=p["client"] | {"mode": "node"}),
        lambda p: p.update(
            client=p["client"] | {"id": "openclaw-browser-copilot"},
            caps=["run-tool-bindings", "session-scoped-events"],
        ),
    ],
)
def test_the_rare_is_accepted_too(change: Change) -> None:
    assert parse_connect(connect(change)).params.client.version == "2026.9.6"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda p: p.update(minProtocol=3, maxProtocol=3), r.ProtocolMismatch),
        (lambda p: p.update(minProtocol=5, maxProtocol=9), r.ProtocolMismatch),
        # The protocol is looked at before the role.
        (lambda p: p.update(minProtocol=5, maxProtocol=9, role="admin"), r.ProtocolMismatch),
        (lambda p: p.update(minProtocol=2, maxProtocol=2, client=p["client"] | {"mode": "probe"}), r.ProtocolMismatch),
        (lambda p: p.update(minProtocol=3, maxProtocol=3, role="node"), r.ProtocolMismatch),
        (lambda p: p.update(role="admin"), r.InvalidRole),
        (lambda p: p["client"].update(id="openclaw-browser-copilot"), r.InvalidClient),
        (lambda p: p.update(role="worker"), r.WorkerRefused),
        (lambda p: p["client"].update(id="openclaw-worker"), r.WorkerRefused),
        (lambda p: p["client"].update(mode="worker"), r.WorkerRefused),
        (lambda p: p["client"].update(id="someone"), r.InvalidConnectParams),
        (lambda p: p.update(auth=None), r.InvalidConnectParams),
        (lambda p: p.update(scopes=[""]), r.InvalidConnectParams),
        (lambda p: p["client"].update(buildId="b" * 97), r.InvalidConnectParams),
    ],
)
def test_a_refusal_knows_whom_it_answers(change: Change, kind: type[r.Rejection]) -> None:
    with pytest.raises(kind) as caught:
        parse_connect(connect(change))
    rejection = caught.value
    if rejection.error is None:
        assert rejection.response() is None
    else:
        answer = json.loads(rejection.response() or b"")
        assert (answer["id"], answer["ok"]) == ("1:2b505bca-6b9e-4fb6-8e66-2978915b6f79", False)
        assert answer["error"]["message"].startswith(rejection.close_reason)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("hello", r.NotJson),
        (b"\xff\xfe", r.NotJson),
        ("", r.NotJson),
        ("NaN", r.NotJson),
        ("null", r.InvalidFrame),
        ("[]", r.InvalidFrame),
        ('{"a":1}', r.InvalidFrame),
        ('{"type":"res","id":"1","ok":true}', r.InvalidFrame),
        ('{"type":"req","id":"","method":"connect","params":{}}', r.InvalidFrame),
        ('{"type":"req","id":"1","method":"connect","params":{},"more":1}', r.InvalidFrame),
        ('{"type":"req","id":"1","method":"health"}', r.NotConnect),
        ('{"type":"req","id":"1","method":"connect"}', r.InvalidConnectParams),
        ('"' + "x" * (MAX_CONNECT_BYTES - 1) + '"', r.FrameTooLarge),
        ('"' + "\u00e9" * (MAX_CONNECT_BYTES // 2) + '"', r.FrameTooLarge),
        ('"' + "x" * (MAX_CONNECT_BYTES - 2) + '"', r.InvalidFrame),
        ("[" * MAX_CONNECT_BYTES, r.NotJson),
    ],
)
def test_what_is_no_connect(message: bytes | str, kind: type[r.Rejection]) -> None:
    with pytest.raises(kind):
        parse_connect(message)


@pytest.mark.parametrize("case", recorded.VERDICTS, ids=lambda case: "-".join(map(str, case["verdict"]))[:60])
def test_the_verdict_and_the_words_are_upstreams(case: dict[str, Any]) -> None:
    assert verdict(case["frame"]) == case["verdict"]


def verdict(frame: str) -> list[str]:
    try:
        parse_connect(frame)
    except r.InvalidFrame as rejection:
        return ["frame", rejection.detail]
    except r.NotConnect:
        return ["notconnect"]
    except r.InvalidConnectParams as rejection:
        assert rejection.error is not None
        return ["params", rejection.error.message.removeprefix("invalid connect params: ")]
    except (r.ProtocolMismatch, r.InvalidRole, r.InvalidClient):
        # Refused only later, when the schema has already been satisfied.
        return ["ok"]
    return ["ok"]


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [*CONNECT_PARAMS["properties"], "id", "mode", "version", "platform", "token", "signedAt", "nonce", "surprise"]
)


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_whatever_comes_it_raises_only_rejections(data: bytes | str) -> None:
    with pytest.raises(r.Rejection):
        parse_connect(data)


@settings(max_examples=400)
@given(
    changes=st.lists(st.tuples(st.sampled_from(["", "client", "auth", "device"]), NAMES, JSON), min_size=1, max_size=4)
)
def test_whatever_is_changed_it_raises_only_rejections(changes: list[tuple[str, str, Any]]) -> None:
    params = recorded.params_of(recorded.CONNECT_TUI)
    for where, name, value in changes:
        target = params.get(where) if where else params
        if isinstance(target, dict):
            target[name] = value
    frame = json.dumps({"type": "req", "id": "1", "method": "connect", "params": params})
    try:
        request = parse_connect(frame)
    except r.Rejection:
        return
    assert request.params.raw.keys() == params.keys()
    assert request.params.client.id == params["client"]["id"]


@settings(max_examples=300)
@given(at=st.integers(0, len(recorded.CONNECT_TUI) - 1), byte=st.integers(0, 255))
def test_any_damaged_byte_raises_only_rejections(at: int, byte: int) -> None:
    damaged = bytearray(recorded.CONNECT_TUI)
    damaged[at] = byte
    try:
        parse_connect(bytes(damaged))
    except r.Rejection as rejection:
        assert rejection.close_code in (1000, 1002, 1008)
