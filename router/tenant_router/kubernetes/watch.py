"""List and watch one kind of object: pages, bookmarks, a new list after 410, back-off, deadlines.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Generic, Protocol, TypeVar

import msgspec

from .backoff import Backoff
from .client import LIST, ApiServer
from .errors import ApiError, ApiUnavailable, Expired
from .objects import Named, Page, Status, WatchEvent

log = logging.getLogger(__name__)

PAGE = 500
"""Objects of one page, as kubectl and client-go have it."""
LIFE = (240.0, 300.0)
"""Seconds until the server ends a watch; spread, so that replicas don't come back together."""
GONE = 410

Kind = TypeVar("Kind", bound=Named)
Contra = TypeVar("Contra", bound=Named, contravariant=True)

_decode_page = msgspec.json.Decoder(Page).decode
_decode_event = msgspec.json.Decoder(WatchEvent).decode
_decode_named = msgspec.json.Decoder(Named).decode
_decode_status = msgspec.json.Decoder(Status).decode


class Sink(Protocol[Contra]):
    """Keeps what a watch tells."""

    def put(self, item: Contra, listed: bool) -> None:
        """Hear of an object that is new or changed; `listed`: or only named by a list, whenever it changed."""
        ...

    def gone(self, item: Contra) -> None:
        """Hear that an object was deleted."""
        ...

    def keep(self, namespace: str, names: set[str]) -> None:
        """Hear that a list of a namespace is complete: whatever is not named is gone."""
        ...


class Watch(Generic[Kind]):
    """Keeps a sink up to date with one kind of object in one namespace."""

    def __init__(
        self, api: ApiServer, base: str, namespace: str, plural: str, kind: type[Kind], sink: Sink[Kind],
        selector: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.plural = plural
        self.namespace = namespace
        self._api = api
        self._path = f"{base}/namespaces/{namespace}/{plural}"
        self._sink = sink
        self._selector = selector or {}
        self._decode = msgspec.json.Decoder(kind).decode
        self._version = ""
        self.listed = asyncio.Event()
        """Set once the first list is complete."""
        self.problem: str | None = "not listed yet"
        """Why it is not up to date; None: it is."""
        self.lists = 0
        """Lists so far."""

    async def run(self) -> None:
        """Go on until cancelled. Nothing that the API server does ends it."""
        backoff = Backoff()
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch(backoff)
            except Expired:
                log.info("%s of %s: the watch is too old, listing anew", self.plural, self.namespace)
                self._version = ""
            except ApiError as error:
                if self.problem != str(error):
                    self.problem = str(error)
                    log.warning("%s of %s: %s; trying again", self.plural, self.namespace, error)
                asked = error.retry_after if isinstance(error, ApiUnavailable) else 0.0
                await asyncio.sleep(max(backoff.pause(), min(asked, 5.0)))

    async def _list(self) -> None:
        """Read all pages into the sink; what was deleted meanwhile goes at the end."""
        names: set[str] = set()
        token = ""
        while True:
            params = {"limit": str(PAGE), **self._selector}
            if token:
                params["continue"] = token
            try:
                page = _decode_page(await self._api.request("GET", self._path, params=params, timeout=LIST))
            except msgspec.MsgspecError as error:
                raise ApiUnavailable(f"the list of {self._path} is not valid: {error}") from error
            for raw in page.items or ():
                item = self._read(raw)
                names.add(item.metadata.name if item is not None else _decode_named(raw).metadata.name)
                if item is not None:
                    self._sink.put(item, listed=True)
            token = page.metadata.continue_
            if not token:
                break
        self._sink.keep(self.namespace, names)
        self._version = page.metadata.resource_version
        self.lists += 1
        self._works()
        self.listed.set()

    async def _watch(self, backoff: Backoff) -> None:
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(random.uniform(*LIFE))),  # noqa: S311 - spreads load, guards nothing
            **self._selector,
        }
        async for line in self._api.lines(self._path, params):
            self._works()
            if not line:
                continue
            try:
                event = _decode_event(line)
            except msgspec.MsgspecError as error:
                raise ApiUnavailable(f"the watch of {self._path} sent what is no event: {error}") from error
            if event.type == "ERROR":
                status = _decode_status(event.object)
                if status.code == GONE:
                    raise Expired(status.message)
                raise ApiUnavailable(f"{status.message} ({status.code})")
            backoff.reset()
            self._event(event)

    def _event(self, event: WatchEvent) -> None:
        known = None if event.type == "BOOKMARK" else self._read(event.object)
        if known is not None and event.type == "DELETED":
            self._sink.gone(known)
        elif known is not None:
            self._sink.put(known, listed=False)
        told: Named = known if known is not None else _decode_named(event.object)
        self._version = told.metadata.resource_version or self._version

    def _read(self, raw: msgspec.Raw) -> Kind | None:
        """Decode one object; one that can't be read is named in the log and left as it was before."""
        try:
            return self._decode(raw)
        except msgspec.MsgspecError as error:
            log.error("%s %s/%s: %s", self.plural, self.namespace, _decode_named(raw).metadata.name, error)
            return None

    def _works(self) -> None:
        if self.problem is not None:
            log.info("%s of %s: up to date", self.plural, self.namespace)
            self.problem = None
