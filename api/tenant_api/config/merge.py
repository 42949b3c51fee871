"""The overlay on the template: objects merge, lists and scalars replace, null removes (RFC 7396, JSON Merge Patch)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tenant_api.config.errors import ConfigError
from tenant_api.config.paths import Path, format_path, touched
from tenant_api.plain_json import Json


def merge(base: Json, overlay: Json) -> Json:
    """Return the base with the overlay laid on it; neither is changed.

    Depth is that of the overlay, which `plain_json` bounds.
    """
    if not isinstance(overlay, dict):
        return overlay
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in overlay.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def refuse_touching(overlay: Json, protected: Iterable[Path], owned: Mapping[Path, str]) -> None:
    """Raise where an overlay would change what is not its to change.

    Parameters
    ----------
    protected
        Paths that the template protects.
    owned
        Paths that belong to tenancy itself, with what they are for.

    Raises
    ------
    ConfigError
        Names the path in the overlay.
    """
    for path, pattern in touched(overlay, owned):
        raise ConfigError(
            "overlay",
            f"belongs to OpenClaw Tenancy: {owned[pattern]}",
            path,
            hint="remove it from spec.config",
        )
    for path, pattern in touched(overlay, protected):
        raise ConfigError(
            "overlay",
            f"is protected by the template ({format_path(pattern)!r} in spec.protected)",
            path,
            hint="remove it from spec.config, or have the template changed",
        )
