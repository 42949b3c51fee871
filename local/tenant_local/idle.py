"""When a gateway may sleep."""

from __future__ import annotations

from tenant_router.activity import TenantActivity


def idle_for(activity: TenantActivity | None, awake_since: float, now: float, parks: bool = True) -> float | None:
    """Return for how many seconds nobody has wanted anything of a gateway, or None while a request is on its way.

    Connected clients that ask for nothing count only where nobody can park them. A wake counts as wanting something: whoever
    asked for it may still be on the way. Times are seconds since the epoch.
    """
    if activity is None:
        return max(0.0, now - awake_since)
    if (activity.opening if parks else activity.connections) > 0:
        return None
    return max(0.0, now - max(activity.last_request, activity.last_seen, awake_since))
