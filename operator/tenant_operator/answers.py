"""The answers to writes of a status: the API server answers with the whole object, its spec as others have changed it included.

Such an answer can be the first to show that. The watch's event of it comes too late then to be looked at, and the change
would wait for the next full list: it is told from here. (A tenant's children need none of that: who writes them looks at
them once more before he says how the tenant is.)
"""

from __future__ import annotations

from collections.abc import Callable

from .apiserver.resources import Json, Resource
from .cache.cache import Cache
from .cache.records import Record, TemplateRecord, TenantRecord

News = Callable[[Record | None, Record], None]
"""Hears of an object that others have changed: its record from before, and as it is."""


class Answers:
    """The way into the cache for them; `Feed` is that for events and lists."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self.news: News | None = None
        """Who hears of what others did."""

    def take(self, resource: Resource, answer: Json) -> None:
        """Take in the Tenant or TenantTemplate whose status was written."""
        metadata = answer["metadata"]
        before = self._cache.child(resource, metadata["namespace"], metadata["name"])
        record = self._cache.put(resource, answer)
        if record is not None and self.news is not None and _wanted(record) != _wanted(before):
            self.news(before, record)


def _wanted(record: Record | None) -> tuple[str, bytes] | None:
    """Return what of it its owner writes."""
    return (record.uid, record.source) if isinstance(record, TenantRecord | TemplateRecord) else None
