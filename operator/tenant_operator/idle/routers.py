"""All router replicas, asked on their admin ports. What not all of them say is not known."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec

from ..apiserver.resources import Json

ASK: Final = 3.0
"""Seconds for a replica's activity, which it has in memory."""
STEP: Final = 15.0
"""Seconds for a step: the longest asks a gateway twice, at five seconds each."""
RESOLVE: Final = 3.0

Address = tuple[str, int]


class Unsure(Exception):
    """A replica can't be asked; the text says which and why."""


class StepRefused(Exception):
    """A replica understood a step and refuses it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code


class Seen(msgspec.Struct, frozen=True):
    """One tenant's activity on one replica. Times are seconds since 1970; 0: never there."""

    connections: int = 0
    opening: int = 0
    parked: int = 0
    last_request: float = 0.0
    last_seen: float = 0.0
    waking: bool = False


class Report(msgspec.Struct, frozen=True):
    """`GET /activity` of one replica."""

    since: float = 0.0
    draining: bool = False
    tenants: dict[str, Seen] = msgspec.field(default_factory=dict)


@dataclass(slots=True)
class Activity:
    """What all replicas say together."""

    addresses: list[Address] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def any_waking(self) -> bool:
        """Whether a wake runs on any replica."""
        return any(one.waking for report in self.reports for one in report.tenants.values())

    def of(self, key: str) -> Seen:
        """Return a tenant's activity, summed up over all replicas."""
        seen = [report.tenants[key] for report in self.reports if key in report.tenants]
        return Seen(
            sum(one.connections for one in seen),
            sum(one.opening for one in seen),
            sum(one.parked for one in seen),
            max((one.last_request for one in seen), default=0.0),
            max((one.last_seen for one in seen), default=0.0),
            any(one.waking for one in seen),
        )


_decode = msgspec.json.Decoder(Report).decode


class Routers:
    """The replicas behind the configured names."""

    def __init__(self, names: tuple[Address, ...]) -> None:
        self._names = names
        self._session: aiohttp.ClientSession | None = None

    @property
    def configured(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._names)

    async def activity(self) -> Activity:
        """Ask all replicas.

        Raises
        ------
        Unsure
            One of them does not answer, or their names can't be resolved: nobody may be put to sleep.
        """
        addresses = await self._resolve()
        reports = await asyncio.gather(*(self._report(address) for address in addresses))
        return Activity(addresses, list(reports))

    async def step(self, address: Address, key: str, step: str, uid: str) -> Json:
        """Take one step of the conversation about a tenant's sleep with one replica.

        Raises
        ------
        Unsure, StepRefused
            See there.
        """
        try:
            async with self._open().post(
                f"{_url(address)}/suspend/{key}",
                json={"step": step, "uid": uid},
                timeout=aiohttp.ClientTimeout(total=STEP, sock_connect=ASK),
            ) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise StepRefused(answer.status, _detail(body))
                found: Any = msgspec.json.decode(body)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
            raise Unsure(
                f"router {address[0]}:{address[1]}, {step}: {type(error).__name__} {error}".rstrip()
            ) from error
        if not isinstance(found, dict):
            raise Unsure(f"router {address[0]}:{address[1]}, {step}: no object but {type(found).__name__}")
        return found

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _report(self, address: Address) -> Report:
        try:
            async with self._open().get(
                f"{_url(address)}/activity", timeout=aiohttp.ClientTimeout(total=ASK, sock_connect=ASK)
            ) as answer:
                if answer.status != 200:
                    raise Unsure(f"router {address[0]}:{address[1]} answers {answer.status}")
                return _decode(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
            raise Unsure(f"router {address[0]}:{address[1]}: {type(error).__name__} {error}".rstrip()) from error

    async def _resolve(self) -> list[Address]:
        found: dict[Address, None] = {}
        loop = asyncio.get_running_loop()
        for host, port in self._names:
            try:
                async with asyncio.timeout(RESOLVE):
                    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, TimeoutError) as error:
                raise Unsure(f"the routers' name {host} can't be resolved: {error}") from error
            found |= {(str(info[4][0]), port): None for info in infos}
        if not found:
            raise Unsure("no router is there")
        return list(found)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _url(address: Address) -> str:
    host, port = address
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _detail(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
