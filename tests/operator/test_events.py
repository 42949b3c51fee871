"""Events are told once and then counted, with a pause between two writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from operator_world import World, tenant
from scripted_apiserver import scripted

from tenant_operator import events
from tenant_operator.apiserver.access import Access
from tenant_operator.apiserver.client import ApiClient
from tenant_operator.apiserver.resources import TENANT
from tenant_operator.cache.projection import tenant_record
from tenant_operator.cache.records import TenantRecord
from tenant_operator.events import PAUSE, Events
from tenant_operator.metrics import Metrics
from tenant_operator.reconcile.status import asleep_message, sleep_note

START = 1_800_000_000.0


class Teller:
    """Events with a clock that only moves when told to."""

    def __init__(self, api: ApiClient, record: TenantRecord) -> None:
        self.metrics = Metrics()
        self.now = START
        self.record = record
        self._events = Events(api, self.metrics, lambda: self.now)

    async def tell(self, message: str, after: float = 0.0, reason: str = "Asleep") -> None:
        """Tell one and wait until it was dealt with."""
        self.now += after
        self._events.tell(TENANT, self.record, reason, message)
        sending = asyncio.create_task(self._events.run())
        await asyncio.wait_for(self._events.sent(), 20)
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending


def ann(uid: str = "u") -> TenantRecord:
    metadata = {"namespace": "ns", "name": "ann", "uid": uid, "resourceVersion": "5"}
    return tenant_record({"metadata": metadata, "spec": {}})


COLLECTION = "/api/v1/namespaces/ns/events"


@asynccontextmanager
async def teller(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Teller, Any]]:
    async with scripted(tmp, monkeypatch) as (server, client):
        server.answers["POST", COLLECTION] = (201, {})
        yield Teller(client, ann()), server


async def test_the_same_is_counted_and_written_after_the_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with teller(tmp_path, monkeypatch) as (told, server):
        await told.tell("idle 15 min")
        method, path, body = server.asked.pop()
        assert (method, path, body["count"], body["message"]) == ("POST", COLLECTION, 1, "idle 15 min")
        server.answers["PATCH", f"{COLLECTION}/{body['metadata']['name']}"] = (200, {})
        for _ in range(2):
            await told.tell("idle 15 min", PAUSE / 2 - 1)
        assert server.asked == []
        await told.tell("idle 15 min", 2)
        again = {"count": 4, "lastTimestamp": "2027-01-15T08:05:00Z"}
        assert server.asked == [("PATCH", f"{COLLECTION}/{body['metadata']['name']}", again)]
        # And the pause begins anew.
        await told.tell("idle 15 min", PAUSE - 1)
        assert len(server.asked) == 1
        assert told.metrics.events_dropped._value.get() == 0


async def test_other_words_and_other_objects_are_other_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with teller(tmp_path, monkeypatch) as (told, server):
        await told.tell("idle 15 min")
        await told.tell("idle 20 min")
        await told.tell("idle 15 min", reason="Suspended")
        told.record = ann("another")
        await told.tell("idle 15 min")
        assert [(method, body["count"]) for method, _, body in server.asked] == [("POST", 1)] * 4
        assert len({body["metadata"]["name"] for _, _, body in server.asked}) == 4


async def test_a_new_one_begins_when_it_has_passed_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with teller(tmp_path, monkeypatch) as (told, server):
        await told.tell("idle 15 min")
        await told.tell("idle 15 min", PAUSE + 1)  # nobody scripted the PATCH: 404
        assert [(method, body["count"]) for method, _, body in server.asked] == [("POST", 1), ("PATCH", 2), ("POST", 1)]


async def test_what_is_told_over_and_over_stays_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REMEMBERED", 2)
    async with teller(tmp_path, monkeypatch) as (told, server):
        for message in ("again", "once", "again", "twice", "again"):
            await told.tell(message)
        assert [body["message"] for _, _, body in server.asked] == ["again", "once", "twice"]


async def test_sleeps_are_one_event_at_a_real_api_server(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.apply(tenant("ann"))
    body = here.get("tenants", "ann")
    assert body
    monkeypatch.setenv("KUBECONFIG", str(here.cluster.kubeconfig))
    api = ApiClient(Access(), lambda verb, plural: None)
    try:
        told = Teller(api, tenant_record(body))
        said = {asleep_message(START, 900, 0, 0.0), asleep_message(START + 3600, 900, 2, START + 7200)}
        assert len(said) == 2
        for after in (0.0, 3600.0, 3600.0):
            await told.tell(sleep_note(900), after)
    finally:
        await api.close()
    (event,) = [one for one in here.items("events") if one["reason"] == "Asleep"]
    assert (event["count"], event["message"]) == (3, "idle 15 min")
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2027-01-15T08:00:00Z", "2027-01-15T10:00:00Z")
