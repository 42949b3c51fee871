"""What the operator learns of the API server's addresses: all that it was told lately, and a warning where that is nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

import pytest
from scripted_apiserver import ScriptedApiServer, scripted

from tenant_operator.apiserver.whereabouts import KEPT, Address, Whereabouts, keep_looking

FORBIDDEN = {"kind": "Status", "reason": "Forbidden", "message": "no"}


def at(*addresses: str) -> tuple[int, dict[str, Any]]:
    found = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address} for address in addresses]
    return 200, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": found}


def called(server: ScriptedApiServer) -> Address:
    return "127.0.0.1", server.port


async def test_what_it_says_of_itself_and_where_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(tmp_path, monkeypatch) as (server, client):
        server.answers["GET", "/api"] = at("203.0.113.7:6443", "[2001:db8:0::7]:443", "203.0.113.8", "")
        assert await Whereabouts(client).look() == {
            called(server),
            ("203.0.113.7", 6443),
            ("2001:db8::7", 443),
            ("203.0.113.8", 443),
        }


async def test_names_stand_for_their_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(tmp_path, monkeypatch) as (server, client):
        server.answers["GET", "/api"] = at("localhost:8443", "ip-10-0-0-1.nowhere.invalid:443")
        assert ("127.0.0.1", 8443) in (found := await Whereabouts(client).look())
        assert {port for _, port in found} == {8443, server.port}


async def test_servers_that_take_turns_stay_known_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    async with scripted(tmp_path, monkeypatch) as (server, client):
        where = Whereabouts(client, [("198.51.100.1", 443)], clock=lambda: now)
        both = {called(server), ("198.51.100.1", 443), ("203.0.113.7", 443), ("203.0.113.8", 443)}
        for address in ("203.0.113.7:443", "203.0.113.8:443", "203.0.113.7:443"):
            server.answers["GET", "/api"] = at(address)
            now += 300
            found = await where.look()
        assert found == both
        now += KEPT - 1
        assert await where.look() == both - {("203.0.113.8", 443)}


async def test_nothing_said_is_warned_of_once_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with scripted(tmp_path, monkeypatch) as (server, client):
        for answer in ((403, FORBIDDEN), at(), at("ip-10-0-0-1.nowhere.invalid:443")):
            server.answers["GET", "/api"] = answer
            caplog.clear()
            where = Whereabouts(client)
            assert await where.look() == await where.look() == {called(server)}
            assert [record.getMessage().count("OPENCLAW_TENANCY_APISERVER_ADDRESSES") for record in caplog.records] == [
                1
            ]
            caplog.clear()
            await Whereabouts(client, [("203.0.113.7", 443)]).look()
            assert caplog.records == []


async def test_it_is_looked_for_again_also_after_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: asyncio.Queue[frozenset[Address]] = asyncio.Queue()
    async with scripted(tmp_path, monkeypatch) as (server, client):
        server.answers["GET", "/api"] = (503, {"kind": "Status", "message": "not yet"})
        looking = asyncio.create_task(keep_looking(Whereabouts(client), heard.put_nowait, 0.01))
        await asyncio.sleep(0.1)
        assert heard.empty()
        server.answers["GET", "/api"] = at("203.0.113.7:443")
        assert ("203.0.113.7", 443) in await asyncio.wait_for(heard.get(), 10)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
