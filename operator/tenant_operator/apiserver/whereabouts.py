"""Where the API server is: addresses that no tenant may reach, as far as they can be learned."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

from tenant_api.apiserver_errors import ApiError
from tenant_api.variables import PREFIX

from .client import ApiClient

log = logging.getLogger(__name__)

Address = tuple[str, int]
"""Digits and port."""
VARIABLE: Final = f"{PREFIX}APISERVER_ADDRESSES"
LOOK_AGAIN: Final = 300.0
"""Seconds between two looks: a control plane that moves does so in a maintenance window, not under our eyes."""
KEPT: Final = 86_400.0
"""Seconds for which an address that was seen stays closed. Each of several servers behind a load balancer tells only its own,
and names have other addresses from time to time: whoever was seen once in a while must not come and go."""
RESOLVE: Final = 3.0
"""Seconds for one name."""


class Whereabouts:
    """The addresses of one API server: those that were named, and those that were seen lately."""

    def __init__(
        self, api: ApiClient, named: Iterable[Address] = (), *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._named = frozenset(named)
        self._clock = clock
        self._seen: dict[Address, float] = {}
        self._warned = False

    async def look(self) -> frozenset[Address]:
        """Ask anew; return all that are known.

        Raises
        ------
        ApiError
            The API server does not answer.
        """
        now = self._clock()
        said = await _resolved(await self._api.own_addresses())
        if not said and not self._named and not self._warned:
            self._warned = True
            log.warning(
                "the API server does not say at which address it is: if that is a public one, gateways can reach it on port "
                "443; name it in %s",
                VARIABLE,
            )
        for address in said | await _resolved({self._api.address}):
            self._seen[address] = now
        self._seen = {address: when for address, when in self._seen.items() if now - when < KEPT}
        return self._named | self._seen.keys()


async def keep_looking(
    whereabouts: Whereabouts, changed: Callable[[frozenset[Address]], None], pause: float = LOOK_AGAIN
) -> None:
    """Look now and then, and hand on what is known, until cancelled."""
    while True:
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
        try:
            changed(await whereabouts.look())
        except ApiError as error:
            log.debug("the API server's addresses are looked up later: %s", error)


async def _resolved(named: Iterable[tuple[str, int]]) -> frozenset[Address]:
    found: set[Address] = set()
    for host, port in named:
        found.update((address, port) for address in await _digits(host))
    return frozenset(found)


async def _digits(host: str) -> set[str]:
    try:
        return {str(ipaddress.ip_address(host))}
    except ValueError:
        pass
    try:
        async with asyncio.timeout(RESOLVE):
            answers = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return set()  # a name that only the control plane's own machines know
    return {str(sockaddr[0]).partition("%")[0] for _, _, _, _, sockaddr in answers}
