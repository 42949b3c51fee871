"""kopf watches, and hands every event on. Its handlers do no work: kopf's own queue must never wait for ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import kopf

from .apiserver.access import login
from .apiserver.resources import Resource
from .cache.cache import WATCHED
from .feed import SELECTORS, Feed
from .memoryless import NoDifferences, NoProgress

CHUNK: Final = 500
"""Objects of a page: 100,000 tenants cost 162 MB so, 1.5 GB in one list."""
IDLE: Final = 0.1
"""Seconds for which kopf keeps a task for each object: by default five, which is a task for each of 10,000 tenants."""


def kopf_settings() -> kopf.OperatorSettings:
    """Return settings for watching only: no persistence, no posting, no discovery of the cluster, no peering."""
    settings = kopf.OperatorSettings()
    settings.watching.chunk_size = CHUNK
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.networking.request_timeout = 30
    settings.queueing.idle_timeout = IDLE
    settings.queueing.worker_limit = None
    settings.persistence.diffbase_storage = NoDifferences()
    settings.persistence.progress_storage = NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    for plural, selector in SELECTORS.items():
        resource = next(one for one in WATCHED if one.plural == plural)
        settings.watching.label_selectors[_selector(resource)] = selector
    return settings


def kopf_registry(feed: Feed) -> kopf.OperatorRegistry:
    """Return the handlers: one for each kind, all of them the same."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        return login()

    for resource in WATCHED:
        _watch(registry, resource, feed)
    return registry


def _watch(registry: kopf.OperatorRegistry, resource: Resource, feed: Feed) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=resource.plural)
    async def handle(event: Any, **_: Any) -> None:
        feed.take(resource, event["type"], event["object"])


def _selector(resource: Resource) -> tuple[str, str, str]:
    return resource.group, resource.version, resource.plural


async def watch(feed: Feed, namespaces: tuple[str, ...], stop: asyncio.Event, take_signals: Callable[[], None]) -> None:
    """Watch until `stop` is set.

    kopf takes SIGTERM and SIGINT for itself and would end all our tasks with its own, in no order; `take_signals` is called
    to take them back.
    """
    ignored = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=kopf_registry(feed),
        settings=kopf_settings(),
        namespaces=namespaces,
        standalone=True,
        stop_flag=stop,
    )
    take_signals()
    await kopf.run_tasks(tasks, ignored=ignored)
