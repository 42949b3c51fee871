"""Whatever a stranger sends, the router answers in a defined way, closes, and serves the next one."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from router_world import PARAMS, TestFleet
from websockets.frames import Frame, Opcode

from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CONNECT = {"type": "req", "id": "1", "method": "connect", "params": {**PARAMS, "auth": {"token": "stranger"}}}
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """A router in a thread of its own, for tests that block."""
    bound: list[tuple[str, int]] = []
    ready, stop = threading.Event(), threading.Event()

    async def main() -> None:
        router = Router(TestFleet(), RouterSettings(listen=("127.0.0.1", 0)))
        router.start()
        bound.append(router.address)
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.05)
        await router.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=RelayLoop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield bound[0]
    stop.set()
    thread.join(10)


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """Send everything, half-close, and read to the end; a router that hangs fails the test."""
    with socket.create_connection(address, timeout=10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        seen = b""
        while part := sock.recv(65536):
            seen += part
        return seen


@FUZZ
@given(st.binary(max_size=400))
def test_any_bytes_as_a_head(address: tuple[str, int], caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    answer = exchange(address, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@FUZZ
@given(st.integers(0, len(UPGRADE) - 1), st.binary(min_size=1, max_size=8), st.booleans())
def test_mutated_upgrade(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, at: int, patch: bytes, insert: bool
) -> None:
    answer = exchange(address, UPGRADE[:at] + patch + UPGRADE[at if insert else at + len(patch) :])
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@FUZZ
@given(st.binary(max_size=300))
def test_any_bytes_as_frames(address: tuple[str, int], caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    answer = exchange(address, UPGRADE + data)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@FUZZ
@given(st.sampled_from(["type", "id", "method", "params", "auth", "client", "device", "scopes"]), json_values)
def test_any_value_in_connect(
    address: tuple[str, int], caplog: pytest.LogCaptureFixture, where: str, value: object
) -> None:
    frame = json.loads(json.dumps(CONNECT))
    target = frame if where in frame else frame["params"]
    target[where] = value
    answer = exchange(address, UPGRADE + Frame(Opcode.TEXT, json.dumps(frame).encode()).serialize(mask=True))
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b'"ok":true' not in answer
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_head_without_end_is_bounded(address: tuple[str, int]) -> None:
    answer = exchange(address, b"GET / HTTP/1.1\r\nX-A: " + b"a" * 200_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


def test_endless_fragments_are_bounded(address: tuple[str, int]) -> None:
    first = Frame(Opcode.TEXT, b"x" * 1000, fin=False).serialize(mask=True)
    more = Frame(Opcode.CONT, b"x" * 1000, fin=False).serialize(mask=True)
    answer = exchange(address, UPGRADE + first + more * 200)
    assert (1009).to_bytes(2, "big") in answer
