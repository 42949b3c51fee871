"""Whether tenants can be kept apart here, and what is refused where they can't."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .confine.probe import Confinement
from .layout import DataError
from .settings import LocalSettings


class NotConfinable(Exception):
    """Tenants can't be kept apart on this machine; the text says why and what to do."""


def mixes(tenants: int, confinement: Confinement, settings: LocalSettings) -> bool:
    """Tell whether so many tenants would see each other although nobody allowed it."""
    return tenants > 1 and not confinement.isolates and not settings.unconfined


def refuse_mixing(tenants: int, confinement: Confinement, settings: LocalSettings) -> None:
    """Refuse to serve them then.

    Raises
    ------
    NotConfinable
        They would.
    """
    if mixes(tenants, confinement, settings):
        raise NotConfinable(
            f"{tenants} tenants can't be kept apart on this machine ({confinement.why_not}): "
            "serve one, or run with --unconfined if they may see each other's data"
        )


def refuse_exposure(shown: Iterable[Path], settings: LocalSettings) -> None:
    """Refuse to keep data or Tenant files in what every gateway sees.

    Raises
    ------
    DataError
        They lie there.
    """
    paths = list(shown)
    for what, folder in (("data", settings.data), ("Tenant files", settings.directory)):
        for path in paths:
            if folder.resolve().is_relative_to(path.resolve()):
                raise DataError(f"{folder} ({what}) lies in {path}, which every gateway can read: move it elsewhere")
