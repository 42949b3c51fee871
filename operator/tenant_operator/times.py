"""Times as resources and people have them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Return seconds since 1970 as Kubernetes writes times: UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """Return seconds since 1970 as a MicroTime, as Leases have them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parsed(text: str | None) -> float:
    """Return an RFC 3339 time as seconds since 1970; 0 for none or a broken one."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else 0.0
    except ValueError:
        return 0.0


def clock(seconds: float) -> str:
    """Return the time of day, for a sentence: 10:02 UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M UTC")


def lasting(seconds: float) -> str:
    """Return a duration for a sentence: 45 s, 15 min, 3 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
