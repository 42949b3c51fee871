"""What people are told of a tenant."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tenant_api.loaded import FileError
from tenant_router.activity import TenantActivity

from .life import TenantLife
from .registry import Resolved
from .states import Description, State
from .timers import in_words


def describe(
    found: Resolved, life: TenantLife, seen: TenantActivity | None, errors: Iterable[FileError]
) -> Description:
    """Return what a tenant is and does."""
    spec = found.tenant.spec
    gateway = life.gateway
    return Description(
        name=life.name,
        user_id=spec.user_id,
        template=f"{found.template.name}:{found.template.spec.version}",
        runtime=found.template.spec.runtime,
        power=spec.power,
        state=life.state,
        since=life.since,
        reason=life.reason,
        pid=gateway.started.launcher.warden.pid if gateway is not None else None,
        port=gateway.address.port if gateway is not None else None,
        connections=seen.connections if seen is not None else 0,
        parked=seen.parked if seen is not None else 0,
        next_timer=life.timer.at,
        last_request=seen.last_request if seen is not None else 0.0,
        idle_timeout=found.idle_timeout,
        tokens=len(spec.tokens),
        wakes=life.wakes,
        last_wake=life.last_wake,
        last_failure=life.last_failure,
        problem="; ".join(str(error) for error in errors if error.name in (life.name, found.template.name)),
    )


def upcoming(described: Description, life: TenantLife, quiet: float | None, kept_awake: str = "") -> str:
    """Return what would wake a tenant, or put it to sleep, next.

    `quiet`: seconds since somebody wanted something of it; `kept_awake`: why it could not sleep when that was tried.
    """
    if described.power == "Suspended":
        return "nothing wakes it: spec.power is Suspended"
    if life.state is State.FAILED and (wait := life.backoff.wait(time.monotonic())) > 0:
        return f"the first request after {wait:.0f} s tries again"
    if life.state in (State.ASLEEP, State.FAILED):
        timer = f", or its timer at {in_words(life.timer.at)}" if life.timer.at is not None else ""
        return f"the next request with one of its tokens wakes it{timer}"
    if life.state is not State.AWAKE:
        return f"it is {life.state}"
    if described.power == "AlwaysOn":
        return "it stays awake: spec.power is AlwaysOn"
    if kept_awake:
        return f"it is idle but can't sleep yet: {kept_awake}"
    if quiet is None and described.connections:
        return f"it stays awake while connections are open ({described.connections})"
    left = max(0.0, described.idle_timeout - (quiet or 0.0))
    return f"it goes to sleep in {left:.0f} s unless somebody asks something"
