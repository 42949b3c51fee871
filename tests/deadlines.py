"""Wait for a condition, never for a time."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

PROBE_SECONDS = 0.02


@overload
async def eventually(probe: Callable[[], Awaitable[T | None]], timeout: float, what: str = "") -> T: ...


@overload
async def eventually(probe: Callable[[], T | None], timeout: float, what: str = "") -> T: ...


async def eventually(probe: Callable[[], object], timeout: float, what: str = "") -> object:
    """Return the probe's first true value; probe and timeout (seconds) decide, the machine's speed does not.

    An AssertionError of the probe counts as "not yet" and is shown when the time is over.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            value = probe()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or probe}; last seen: {last!r}")
        await asyncio.sleep(PROBE_SECONDS)


def eventually_sync(probe: Callable[[], T | None], timeout: float, what: str = "") -> T:
    """`eventually` for tests without an event loop."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or probe}; last seen: {value!r}")
        pause.wait(PROBE_SECONDS)
    return value
