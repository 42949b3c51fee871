"""The last Warning event about each pod, and about each ReplicaSet that should make one. Pure, bounded."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from tenant_api.kubernetes_names import child_name

from .objects import Event
from .trouble import Trouble, event_trouble

MAX_WARNINGS = 4000
"""Objects whose last warning is kept; the one that complained longest ago goes first."""

MAX_AGE = 1000.0
"""Seconds that a listed warning is believed: the longest pause of a ReplicaSet between two tries to make a pod."""

_PREFIX = child_name("")


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning."""

    trouble: Trouble
    seen: float
    """time.monotonic() when it reached us."""
    news: bool
    """It came by the watch, so it happened just now; False: it was listed, and may be an hour old."""


def claim_of(key: str) -> str:
    """Return what a warning about a tenant's claim is about, apart from those about its ReplicaSet."""
    return f"claim {key}"


class Warnings:
    """Warnings by what they are about: a pod's UID, `namespace/name` of the tenant that gets no pod, or its claim."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, Warned] = OrderedDict()

    def put(self, event: Event, now: float, news: bool) -> str | None:
        """Take in an event; return what it is about, or None when it is nothing to us."""
        trouble = event_trouble(event.reason, event.message)
        about = _about(event)
        if not news and _age(event) > MAX_AGE:
            return None
        if trouble is None or about is None:
            return None
        self._last[about] = Warned(trouble, now, news)
        self._last.move_to_end(about)
        if len(self._last) > MAX_WARNINGS:
            self._last.popitem(last=False)
        return about

    def about(self, what: str) -> Warned | None:
        """Return the last warning about a pod (by UID), a tenant's ReplicaSet (`namespace/name`) or claim (`claim_of`)."""
        return self._last.get(what)

    def forget(self, what: str) -> None:
        """Drop what was said: it came about all the same."""
        self._last.pop(what, None)


def _about(event: Event) -> str | None:
    """Return what an event is about. A ReplicaSet of tenant NAME is called openclaw-NAME-<hash>."""
    what = event.involved_object
    if what.kind == "Pod":
        return what.uid or None
    name = what.name
    if not name.startswith(_PREFIX):
        return None
    if what.kind == "ReplicaSet":
        return f"{event.metadata.namespace}/{name.rpartition('-')[0].removeprefix(_PREFIX)}"
    if what.kind == "PersistentVolumeClaim":
        return claim_of(f"{event.metadata.namespace}/{name.removeprefix(_PREFIX)}")
    return None


def _age(event: Event) -> float:
    stamp = event.last_timestamp or event.event_time
    try:
        return time.time() - datetime.fromisoformat(stamp).timestamp() if stamp else 0.0
    except ValueError:
        return 0.0
