"""The native runtime: our own gateway, in the launcher's interpreter."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ..process import site_folders, source_folders
from ..settings import GRACE
from .recipe import Recipe, RuntimeMissing


def recipe() -> Recipe:
    """Return how native gateways are started.

    Raises
    ------
    RuntimeMissing
        The package is not installed.
    """
    if find_spec("tenant_gateway") is None:
        raise RuntimeMissing("the native gateway is not installed: install openclaw-tenancy with the extra 'gateway'")
    folders = [*source_folders("tenant_gateway", "tenant_api", "openclaw_protocol"), *site_folders()]
    return Recipe(
        run=("module", "tenant_gateway"),
        preload=("tenant_gateway.lean:import_lean", "tenant_gateway.process"),
        path=folders,
        read=[Path(folder) for folder in folders],
        inherits_socket=True,
        grace=GRACE["native"],
    )
