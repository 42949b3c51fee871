"""The operator's parts in the test's own process, for what is about one of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tenant_api.variables import PREFIX
from tenant_operator.apiserver.access import Access
from tenant_operator.apiserver.client import ApiClient
from tenant_operator.cache.cache import Cache
from tenant_operator.events import Events
from tenant_operator.metrics import Metrics
from tenant_operator.queue import WorkQueue
from tenant_operator.settings import read_settings
from tenant_operator.world import World


@asynccontextmanager
async def parts(kubeconfig: Path, namespace: str, tmp: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A world of the operator's that nobody feeds: what a test puts into its cache is what there is."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    key = tmp / "key"
    key.write_bytes(b"k" * 32)
    environ = {**os.environ, f"{PREFIX}NAMESPACES": namespace, f"{PREFIX}MASTER_KEY_FILE": str(key)}
    metrics = Metrics()
    api = ApiClient(Access(), metrics.called)
    try:
        yield World(read_settings(environ), api, Cache(), WorkQueue(), Events(api, metrics), metrics)
    finally:
        await api.close()
