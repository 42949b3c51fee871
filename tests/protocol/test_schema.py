from __future__ import annotations

from typing import Any

import pytest

from openclaw_protocol.schema import CONNECT_PARAMS, REQUEST_FRAME, describe_errors

CLIENT = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}
VALID = {"minProtocol": 4, "maxProtocol": 4, "client": CLIENT}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (VALID, None),
        (None, "must be object"),
        ({}, "must have required property 'minProtocol'"),
        (VALID | {"b": 1, "a": 2}, "at root: unexpected property 'b'"),
        (VALID | {" ": 1}, "must not have additional properties"),
        (VALID | {"client": CLIENT | {"zip": 1}}, "at /client: unexpected property 'zip'"),
        (VALID | {"minProtocol": 0.5}, "at /minProtocol: must be integer; at /minProtocol: must be >= 1"),
        (VALID | {"minProtocol": True}, "at /minProtocol: must be integer"),
        (
            VALID | {"scopes": ["", 1]},
            "at /scopes/0: must not have fewer than 1 characters; at /scopes/1: must be string",
        ),
        (
            VALID | {"client": CLIENT | {"timeZone": "z" * 65}},
            "at /client/timeZone: must not have more than 64 characters",
        ),
        (
            VALID | {"modelCatalog": 1},
            "at /modelCatalog: must be object; at /modelCatalog: must match a schema in anyOf",
        ),
        # Eight errors at most: the eight properties come first and leave no room for the summary that names one of them.
        (VALID | dict.fromkeys("abcdefgh"), "; ".join(f"at /{name}: schema is false" for name in "abcdefgh")),
        (VALID | dict.fromkeys("abcdefg"), "at root: unexpected property 'a'"),
    ],
)
def test_it_says_what_upstream_says(params: Any, text: str | None) -> None:
    assert describe_errors(CONNECT_PARAMS, params) == text


def test_a_frame_is_described_too() -> None:
    frame = {"type": "req", "id": "", "method": "x", "zap": 1}
    assert describe_errors(REQUEST_FRAME, frame) == (
        "at root: unexpected property 'zap'; at /id: must not have fewer than 1 characters"
    )
