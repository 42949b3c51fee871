"""HTTP on the public port: by Bearer token, woken when asleep, one request at a time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from http_world import HttpFleet
from yarl import URL

from deadlines import eventually
from tenant_router.server import Router

BASELINE_SEEN = {
    "X-Content-Type-Options": ["nosniff"],
    "Referrer-Policy": ["no-referrer"],
    "Permissions-Policy": ["camera=(), microphone=(self), geolocation=()"],
}
BEARER = {"Authorization": "Bearer tok-a"}


@pytest.fixture
async def fleet() -> AsyncIterator[HttpFleet]:
    fleet = HttpFleet()
    fleet.add("ada", "tok-a")
    yield fleet
    await fleet.close()


@pytest.fixture
async def http(router: Router) -> AsyncIterator[aiohttp.ClientSession]:
    host, port = router.address
    async with aiohttp.ClientSession(f"http://{host}:{port}", timeout=aiohttp.ClientTimeout(20)) as session:
        yield session


async def test_health_of_the_router_needs_no_token(http: aiohttp.ClientSession) -> None:
    async with http.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True, "status": "live"})


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic tok-a"}])
async def test_without_a_good_token_nobody_is_woken(
    http: aiohttp.ClientSession, fleet: HttpFleet, headers: dict[str, str]
) -> None:
    async with http.post("/v1/chat/completions", json={}, headers=headers) as answer:
        assert answer.status == 401
        assert await answer.json() == {"error": {"message": "Unauthorized", "type": "unauthorized"}}
    assert not fleet.starts


async def test_request_wakes_and_reaches_its_tenant(http: aiohttp.ClientSession, fleet: HttpFleet) -> None:
    forged = {
        "X-OpenClaw-Tenant": "user-of-bob",
        "X-OpenClaw-Scopes": "operator.admin",
        "X-OpenClaw-Router": "9",
        "X-Forwarded-For": "127.0.0.1",
        "Forwarded": "for=127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "x-openclaw-session-key": "agent:main:main",
        "Connection": "x-openclaw-session-key-not, keep-alive",
    }
    async with http.post(
        URL("/tools/in%2Fvoke?a=%2Fb", encoded=True), json={"x": 1}, headers={**BEARER, **forged}
    ) as answer:
        told: dict[str, Any] = await answer.json()
        assert answer.headers["X-Gateway"] == "user-of-ada"
    headers = dict(told["headers"])
    assert told["target"] == "/tools/in%2Fvoke?a=%2Fb"
    assert told["size"] == len('{"x": 1}')
    assert [v for k, v in told["headers"] if k == "x-openclaw-tenant"] == ["user-of-ada"]
    assert "x-openclaw-scopes" not in headers
    assert "authorization" not in headers
    assert "forwarded" not in headers
    assert headers["x-forwarded-for"] == "192.0.2.1"
    assert headers["x-openclaw-session-key"] == "agent:main:main"
    assert fleet.starts["ada"] == 1


async def test_streamed_answer_comes_as_it_is_made(http: aiohttp.ClientSession, fleet: HttpFleet) -> None:
    async with http.post("/v1/chat/completions", json={"stream": True}, headers=BEARER) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert await answer.content.readuntil(b"\n\n") == b"data: first\n\n"
        fleet.gateways["ada"].release.set()  # type: ignore[attr-defined]  # an HttpGateway
        assert await answer.content.read() == b"data: [DONE]\n\n"


async def test_large_body_is_streamed_both_ways(http: aiohttp.ClientSession) -> None:
    async with http.post("/v1/responses", data=b"x" * 5_000_000, headers=BEARER) as answer:
        assert (await answer.json())["size"] == 5_000_000


async def test_two_requests_on_one_connection_are_each_checked(router: Router, fleet: HttpFleet) -> None:
    fleet.add("bob", "tok-b")
    reader, writer = await asyncio.open_connection(*router.address)
    head = "GET /whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
    writer.write((head % "tok-a" + head % "tok-b" + head % "wrong").encode())
    seen = b""
    async with asyncio.timeout(10):
        while b"HTTP/1.1 401" not in seen:  # not just 401, which may be in the port that `Host` names
            part = await reader.read(65536)
            assert part
            seen += part
    assert seen.index(b"user-of-ada") < seen.index(b"user-of-bob") < seen.index(b"HTTP/1.1 401")
    writer.close()


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n X-OpenClaw-Tenant: bob\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A : 1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
async def test_ambiguous_heads_are_refused(router: Router, fleet: HttpFleet, smuggled: bytes) -> None:
    reader, writer = await asyncio.open_connection(*router.address)
    writer.write(smuggled)
    async with asyncio.timeout(20):
        answer = await reader.read(65536)
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"401"), answer
    writer.close()
    assert not fleet.starts


async def test_head_of_a_second_request_is_bounded(router: Router) -> None:
    reader, writer = await asyncio.open_connection(*router.address)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(20):
        await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 40_000)
        assert b"431" in await reader.read(65536)
    writer.close()


async def test_gateway_that_died_is_woken_anew(http: aiohttp.ClientSession, fleet: HttpFleet) -> None:
    async with http.get("/x", headers=BEARER) as answer:
        assert answer.status == 200
    await fleet.gateways["ada"].stop()
    async with http.get("/x", headers=BEARER) as answer:
        assert json.loads(await answer.read())["target"] == "/x"
    assert fleet.starts["ada"] == 2


@pytest.mark.parametrize(("path", "headers", "status"), [("/healthz", {}, 200), ("/x", {}, 401), ("/x", BEARER, 200)])
async def test_every_answer_has_upstreams_baseline_headers(
    http: aiohttp.ClientSession, path: str, headers: dict[str, str], status: int
) -> None:
    async with http.get(path, headers=headers) as answer:
        assert answer.status == status
        assert {name: answer.headers.getall(name) for name in BASELINE_SEEN} == BASELINE_SEEN


async def test_requests_that_wait_at_the_end_are_let_go_without_a_word_in_the_log(
    http: aiohttp.ClientSession, router: Router, fleet: HttpFleet, caplog: pytest.LogCaptureFixture
) -> None:
    """One waits for a wake, one for its gateway's answer; closing the router is no error of either."""
    async with http.post("/v1/chat/completions", json={}, headers=BEARER) as streaming:
        assert await streaming.content.readuntil(b"\n\n") == b"data: first\n\n"
        fleet.add("bob", "tok-b")
        fleet.delay = 30.0
        waiting = asyncio.create_task(http.get("/x", headers={"Authorization": "Bearer tok-b"}))
        await eventually(lambda: router.waker.under_way("bob"), 10)
        await router.close()
        try:
            async with await waiting as answer:
                assert answer.status == 503
        except aiohttp.ClientError:
            pass  # its connection was dropped before the answer was written
        with pytest.raises(aiohttp.ClientError):
            await streaming.content.read()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_streamed_answer_is_cut_when_its_token_is_revoked(
    router: Router, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with http.post("/v1/chat/completions", headers=BEARER, json={}) as answer:
        assert await answer.content.readline() == b"data: first\n"
        router.revoke("ada", frozenset({"another"}))
        assert (await http.get("/x", headers=BEARER)).status == 200
        router.revoke("ada", frozenset({"test"}))
        async with asyncio.timeout(5):
            with pytest.raises(aiohttp.ClientError):  # cut, not ended as if that were all
                await answer.read()
    assert router.live.count("ada") == 0
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_request_that_waits_for_its_answer_is_refused_when_its_token_is_revoked(
    router: Router, http: aiohttp.ClientSession, fleet: HttpFleet
) -> None:
    fleet.delay = 60.0
    waiting = asyncio.create_task(http.get("/x", headers=BEARER))
    await eventually(lambda: fleet.starts["ada"], 5, "its wake has begun")
    fleet.tenants.clear()
    router.revoke("ada")
    async with asyncio.timeout(5):
        answer = await waiting
    assert answer.status == 401
    assert (await answer.json())["error"]["type"] == "unauthorized"
