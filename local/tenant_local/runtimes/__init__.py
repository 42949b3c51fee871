"""How gateways of each runtime are had and started on one machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .native import recipe as _native
from .openclaw import recipe as _openclaw
from .recipe import Recipe

INSTALLED: Mapping[str, Callable[[], Recipe]] = {"native": _native, "openclaw": _openclaw}
"""Finds each runtime that `TenantTemplate.spec.runtime` can name; raises RuntimeMissing."""
