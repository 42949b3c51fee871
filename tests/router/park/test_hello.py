"""What a client builds on in its hello: the same by every boot of the same gateway, another by another one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tenant_router.park.hello import features_of, state_events

RECORDED = Path(__file__).parents[3] / "benchmarks" / "data" / "hello_payload.json"


def hello(**changes: Any) -> bytes:
    payload = json.loads(RECORDED.read_text())
    for path, value in changes.items():
        at = payload
        *parents, name = path.split("__")
        for parent in parents:
            at = at[parent]
        at[name] = value
    return json.dumps({"type": "res", "id": "c1", "ok": True, "payload": payload}).encode()


def test_another_boot_is_the_same_gateway() -> None:
    same = hello(server__bootId="another", server__connId="another", snapshot__uptimeMs=1, snapshot__presence=[])
    assert features_of(hello()) == features_of(same)


def test_another_gateway_is_another() -> None:
    features = copy.deepcopy(json.loads(RECORDED.read_text())["features"])
    features["methods"] = features["methods"][1:]
    others = [
        hello(features=features),
        hello(server__version="2027.1.1"),
        hello(policy__maxPayload=1),
        hello(snapshot__sessionDefaults={"defaultAgentId": "other"}),
    ]
    assert len({features_of(one) for one in [hello(), *others]}) == 5


def test_presence_and_health_are_told_as_events() -> None:
    events = {frame["event"]: frame for frame in map(json.loads, state_events(hello(snapshot__presence=[{"a": 1}])))}
    assert events["presence"]["payload"] == {"presence": [{"a": 1}]}
    snapshot = json.loads(RECORDED.read_text())["snapshot"]
    assert events["health"]["payload"] == snapshot["health"]
    assert not [frame for frame in events.values() if "seq" in frame]


def test_a_strange_hello_has_nothing_to_compare() -> None:
    assert features_of(b"{}") == features_of(b"not JSON")
    assert state_events(b"[]") == []
