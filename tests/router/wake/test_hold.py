"""How long each kind of client is held."""

from __future__ import annotations

import json
from typing import Any

import pytest
from router_world import PARAMS

from openclaw_protocol.connect import parse_connect
from tenant_router.wake.hold import hold_budget


def client(identity: str, mode: str, **changes: Any) -> dict[str, Any]:
    return {"client": {"id": identity, "version": "1", "platform": "x", "mode": mode}, **changes}


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        (client("cli", "cli"), 12),
        (client("openclaw-tui", "ui"), 12),
        (client("openclaw-control-ui", "webchat"), 12),
        (client("openclaw-probe", "probe"), 2.5),
        (client("openclaw-ios", "ui"), 5),
        (client("openclaw-android", "ui"), 10),
        (client("gateway-client", "backend", userAgent="openclaw-node/0.2.1"), 60),
    ],
)
def test_budget(changes: dict[str, Any], seconds: float) -> None:
    frame = {"type": "req", "id": "1", "method": "connect", "params": {**PARAMS, **changes}}
    assert hold_budget(parse_connect(json.dumps(frame).encode()).params) == seconds
