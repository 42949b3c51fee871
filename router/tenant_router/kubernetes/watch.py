"""List and watch one kind of object: pages, bookmarks, a new list after 410, back-off, deadlines.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import aclosing
from typing import Generic, Protocol, TypeVar

import msgspec

from tenant_api.apiserver_errors import ApiError, ApiUnavailable

from .backoff import Backoff
from .client import LIST, ApiServer
from .errors import Expired
from .objects import Meta, Named, Page, Status, WatchEvent

log = logging.getLogger(__name__)

PAGE = 500
"""Objects of one page, as kubectl and client-go have it."""
LIFE = (240.0, 300.0)
"""Seconds until the server ends a watch; spread, so that replicas don't come back together."""
SHORT_LIFE = (50.0, 70.0)
"""The same where bookmarks never come, because the API server caches no watch of that kind: before we think it dead."""
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
        life: tuple[float, float] | None = None,
    ) -> None:  # fmt: skip
        self.plural = plural
        self.namespace = namespace
        self._api = api
        self._path = f"{base}/namespaces/{namespace}/{plural}"
        self._sink = sink
        self._selector = selector or {}
        self._life = life
        self._decode = msgspec.json.Decoder(kind).decode
        self._version = ""
        self.listed = asyncio.Event()
        """Set once the first list is complete."""
        self.problem: str | None = "not listed yet"
        """Why it is not up to date; None: it is."""
        self._failures = 0
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
                await asyncio.sleep(backoff.pause())
            except ApiError as error:
                self._fails(error)
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
                names.add(self._put(raw, listed=True).name)
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
            "timeoutSeconds": str(int(random.uniform(*(self._life or LIFE)))),  # noqa: S311 - spreads load, guards nothing
            **self._selector,
        }
        async with aclosing(self._api.lines(self._path, params)) as lines:
            async for line in lines:
                self._works()
                if line:
                    self._event(line)
                    backoff.reset()

    def _event(self, line: bytes) -> None:
        try:
            event = _decode_event(line)
        except msgspec.MsgspecError as error:
            raise ApiUnavailable(f"the watch of {self._path} sent what is no event: {error}") from error
        if event.type == "ERROR":
            status = _decode_status(event.object)
            if status.code == GONE:
                raise Expired(status.message)
            raise ApiUnavailable(f"{status.message} ({status.code})")
        if event.type == "BOOKMARK":
            meta = _meta(event.object)
        else:
            meta = self._put(event.object, listed=False, deleted=event.type == "DELETED")
        self._version = meta.resource_version or self._version

    def _put(self, raw: msgspec.Raw, *, listed: bool, deleted: bool = False) -> Meta:
        """Hand one object on. One that can't be read, or that we trip over, must cost no other its news."""
        meta = _meta(raw)
        try:
            item = self._decode(raw)
            if deleted:
                self._sink.gone(item)
            else:
                self._sink.put(item, listed)
        except msgspec.MsgspecError as error:
            log.error("%s %s/%s stays as it was: %s", self.plural, self.namespace, meta.name, error)
        except Exception:
            log.exception("%s %s/%s: an error of ours", self.plural, self.namespace, meta.name)
        return meta

    def _fails(self, error: ApiError) -> None:
        """Tell once what lasts; that a connection broke off is everyday, the next one tells more."""
        self._failures += 1
        level = logging.INFO if self._failures == 1 else logging.WARNING
        if self.problem != str(error) or self._failures == 2:
            log.log(level, "%s of %s: %s; trying again", self.plural, self.namespace, error)
        self.problem = str(error)

    def _works(self) -> None:
        self._failures = 0
        if self.problem is not None:
            log.info("%s of %s: up to date", self.plural, self.namespace)
            self.problem = None


def _meta(raw: msgspec.Raw) -> Meta:
    try:
        return _decode_named(raw).metadata
    except msgspec.MsgspecError:
        return Meta()
