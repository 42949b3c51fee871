from __future__ import annotations

import json
from typing import Any

import pytest
import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_protocol import hello as hello_module
from openclaw_protocol.frames import InvalidFrame, Response, parse_frame, response
from openclaw_protocol.hello import hello_ok


def restore_hello(frame: bytes | str, request_id: str) -> bytes:
    return _frame(hello_module.restore_hello(frame, request_id))


def restore_hello_slowly(frame: bytes | str, request_id: str) -> bytes:
    return _frame(hello_module.restore_hello_slowly(frame, request_id))


def _frame(restored: hello_module.Restored) -> bytes:
    assert restored.ok is json.loads(restored.frame)["ok"]
    return restored.frame


HELLO: dict[str, Any] = json.loads(recorded.HELLO)


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def changed(**changes: Any) -> dict[str, Any]:
    """The recorded hello with other members in its payload."""
    return HELLO | {"payload": HELLO["payload"] | changes}


def test_the_recorded_hello_is_restored_and_nothing_else_changed() -> None:
    restored = json.loads(restore_hello(recorded.HELLO, "the client's"))
    expected = json.loads(recorded.HELLO)
    expected["id"] = "the client's"
    del expected["payload"]["auth"]["deviceToken"]
    assert restored == expected
    assert b"46nPObsZ6_" not in restore_hello(recorded.HELLO, "x")


def test_the_client_learns_that_its_token_counts() -> None:
    hello = changed(snapshot=HELLO["payload"]["snapshot"] | {"authMode": "trusted-proxy"})
    assert json.loads(restore_hello(compact(hello), "x"))["payload"]["snapshot"]["authMode"] == "token"


def test_an_auth_mode_that_was_not_told_stays_untold() -> None:
    snapshot = {name: value for name, value in HELLO["payload"]["snapshot"].items() if name != "authMode"}
    assert "authMode" not in json.loads(restore_hello(compact(changed(snapshot=snapshot)), "x"))["payload"]["snapshot"]


def test_device_tokens_go_and_the_rest_of_auth_stays() -> None:
    auth = {
        "role": "operator",
        "scopes": ["a"],
        "deviceTokens": [{"deviceToken": "d"}],
        "deviceToken": "d",
        "method": "token",
    }
    restored = json.loads(restore_hello(compact(changed(auth=auth)), "x"))["payload"]["auth"]
    assert restored == {"role": "operator", "scopes": ["a"], "method": "token"}


def test_a_refusal_only_gets_the_id() -> None:
    refusal = {
        "type": "res",
        "id": "r",
        "ok": False,
        "error": {"code": "NOT_PAIRED", "message": "m", "details": {"a": [1]}},
    }
    assert json.loads(restore_hello(compact(refusal), 'a "quoted" id')) == refusal | {"id": 'a "quoted" id'}


@pytest.mark.parametrize(
    "frame",
    [
        # Names spelt with escapes, twice, with space around them, and where they mean nothing.
        rb'{"type":"res","id":"r","ok":true,"payload":{"\u0061uth":{"device\u0054oken":"d","role":"r"}}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"auth":{"role":"1"},"auth":{"deviceToken":"d","role":"2"}}}',
        rb' { "id" : "r" , "type" : "res" , "payload" : { "auth" : { "deviceToken" : "d" } , "n" : 1.50 } , "ok" : true } ',
        rb'{"type":"res","id":"r","ok":true,"payload":{"x":{"auth":{"deviceToken":"keep"}},"y":"\"auth\":{\"deviceToken\""}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"snapshot":{"\u0061uthMode":"none","x":{"authMode":"keep"}}}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"auth":"deviceToken","snapshot":["authMode"]}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{}}',
        rb'{"type":"res","id":"r","ok":true,"payload":[]}',
        rb'{"type":"res","id":"r","ok":true,"payload":null}',
        rb'{"type":"res","id":"r","ok":true}',
        rb'{"type":"res","id":"r","ok":false}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"auth":{"deviceToken":"d"}},"extra":1}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"auth":{"deviceToken":"d"}},"error":null}',
        rb'{"type":"res","id":7,"ok":true,"payload":{"auth":{"deviceToken":"d"}}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"half":"\ud800","auth":{"deviceToken":"d"}}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"half\udc00":1,"auth":{"deviceToken":"d"}}}',
        rb'{"type":"res","id":"r","ok":true,"payload":{"n":123456789012345678901234567890,"auth":{"deviceToken":"d"}}}',
    ],
)
def test_however_it_is_written_it_means_the_same(frame: bytes) -> None:
    restored = json.loads(restore_hello(frame, "x"))
    assert restored == json.loads(restore_hello_slowly(frame, "x"))
    assert restored["id"] == "x"
    auth = restored["payload"].get("auth") if isinstance(restored.get("payload"), dict) else None
    assert not isinstance(auth, dict) or "deviceToken" not in auth


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b"null", b'{"type":"event","event":"tick"}', b'{"type":"res","id":"r"}', b"[" * 10**6, b"\xff"],
)
def test_what_is_no_answer_is_refused(frame: bytes) -> None:
    with pytest.raises(InvalidFrame):
        restore_hello(frame, "x")


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = (
    st.sampled_from(["auth", "snapshot", "authMode", "deviceToken", "deviceTokens", "payload", "id", 'a"auth"']) | TEXT
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    payload=st.dictionaries(NAMES, JSON, max_size=6),
    ok=st.booleans(),
    indent=st.none() | st.integers(0, 2),
    ascii=st.booleans(),
)
def test_quick_and_slow_agree_on_any_payload(
    payload: dict[str, Any], ok: bool, indent: int | None, ascii: bool
) -> None:
    frame = json.dumps({"type": "res", "id": "r", "ok": ok, "payload": payload}, indent=indent, ensure_ascii=ascii)
    assert json.loads(restore_hello(frame, "x")) == json.loads(restore_hello_slowly(frame, "x"))


@settings(max_examples=300)
@given(
    at=st.integers(0, len(recorded.HELLO) - 1), piece=st.text('{}[]",:\\u01ea auth', max_size=4), cut=st.integers(0, 3)
)
def test_quick_and_slow_agree_on_a_damaged_hello(at: int, piece: str, cut: int) -> None:
    text = recorded.HELLO.decode()
    damaged = text[:at] + piece + text[at + cut :]
    try:
        expected = json.loads(restore_hello_slowly(damaged, "x"))
    except InvalidFrame:
        with pytest.raises(InvalidFrame):
            restore_hello(damaged, "x")
    else:
        assert json.loads(restore_hello(damaged, "x")) == expected


def test_a_gateways_hello_is_as_upstreams() -> None:
    payload = HELLO["payload"]
    built = hello_ok(
        server=payload["server"],
        methods=payload["features"]["methods"],
        events=payload["features"]["events"],
        capabilities=payload["features"]["capabilities"],
        snapshot=payload["snapshot"],
        auth=payload["auth"],
        policy={
            "attachments": payload["policy"]["attachments"],
            "allowedSessionVisibilities": payload["policy"]["allowedSessionVisibilities"],
            "hasMultipleSessionSharingIdentities": False,
        },
        controlUiWidgetKinds=payload["controlUiWidgetKinds"],
        controlUiLinkReaders=payload["controlUiLinkReaders"],
        pluginSurfaceUrls=payload["pluginSurfaceUrls"],
        controlUiUrl=None,
    )
    assert built == payload
    frame = parse_frame(response("1", built))
    assert isinstance(frame, Response) and frame.payload == payload


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"features": {"authMode": "trusted-proxy"}},
        {"features": {"x": '"authMode":"trusted-proxy"'}},
        {"snapshot": {"health": {"authMode": "trusted-proxy"}}},
        {"snapshot": {"authMode": "trusted-proxy", "health": {"authMode": "trusted-proxy"}}},
        {"snapshot": {"health": {"authMode": "trusted-proxy"}, "authMode": "trusted-proxy"}},
        {"snapshot": {"authMode": "\u0022trusted"}},
        {"auth": {"role": "operator", "authMode": "trusted-proxy"}},
        {"auth": {"role": "operator", "deviceTokens": []}, "snapshot": {"authMode": "trusted-proxy"}},
        {"snapshot": {"authMode": None}},
        # As gateways order it: long lists, the snapshot, what was granted.
        {"features": {"authMode": "none"}, "snapshot": {"authMode": "none"}, "auth": {"role": "operator"}},
        {"features": {}, "snapshot": {"authMode": "none"}, "auth": {"deviceToken": "d"}},
        {"features": {}, "snapshot": {"x": {"authMode": "none"}}, "auth": {"role": "operator"}},
        {"features": {}, "snapshot": {"authMode": "none", "x": {"authMode": "none"}}, "auth": {"role": "operator"}},
        {"features": {}, "snapshot": {"x": {"authMode": "none"}, "authMode": "none"}, "auth": {"role": "operator"}},
        {"features": {}, "snapshot": {"authMode": "none"}, "auth": {"x": 1, "snapshot": {"authMode": "none"}}},
        {"auth": {"deviceToken": "d"}, "snapshot": {"authMode": "none"}, "policy": {}},
        {"x": {"y": 1, "snapshot": {"authMode": "none"}, "auth": {"role": "operator"}}},
    ],
)
def test_only_the_auth_mode_of_the_snapshot_changes_wherever_else_it_is_named(elsewhere: dict[str, Any]) -> None:
    frame = compact({"type": "res", "id": "r", "ok": True, "payload": elsewhere})
    assert json.loads(restore_hello(frame, "c")) == json.loads(restore_hello_slowly(frame, "c"))


def test_a_hello_as_gateways_write_it_changes_at_two_places_only() -> None:
    frame = (
        b'{"type":"res","id":"r","ok":true,"payload":{"a":[ 1.50 ],'
        b'"snapshot":{"authMode":"trusted-proxy","x":[ ]},"auth":{ "role":"operator"}}}'
    )
    assert restore_hello(frame, 'the "client"') == (
        b'{"type":"res","id":"the \\"client\\"","ok":true,"payload":{"a":[ 1.50 ],'
        b'"snapshot":{"authMode":"token","x":[ ]},"auth":{ "role":"operator"}}}'
    )
