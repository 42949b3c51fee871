"""The event loop of a router: asyncio's own, on a selector that also relays."""

from __future__ import annotations

import asyncio

from .relay.selector import RelaySelector


class RelayLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose selector moves relayed bytes itself, inside select().

    Use as `asyncio.Runner(loop_factory=RelayLoop)`.
    """

    def __init__(self) -> None:
        self.relay_selector = RelaySelector()
        super().__init__(self.relay_selector)
        self.relay_selector.loop = self


def running_selector() -> RelaySelector:
    """Return the selector of the running loop.

    Raises
    ------
    RuntimeError
        The running loop is no RelayLoop.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, RelayLoop):
        raise RuntimeError("the router runs on asyncio.Runner(loop_factory=RelayLoop)")
    return loop.relay_selector
