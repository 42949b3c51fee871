"""`GET /why/{namespace}/{name}` on the admin port: what a tenant does, why, what happened before, and what comes next."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException

from ..server import Router
from ..wake.waker import WakeTiming
from .fleet import KubernetesFleet
from .registry import TenantEntry
from .stories import Story, WakePhases


def why_routes(router: Router, fleet: KubernetesFleet) -> APIRouter:
    """Return the route, for this replica's view: others may have woken the tenant."""
    routes = APIRouter()

    @routes.get("/why/{namespace}/{name}")
    async def why(namespace: str, name: str) -> dict[str, Any]:
        entry = fleet.registry.get(f"{namespace}/{name}")
        if entry is None:
            raise HTTPException(404, f"there is no tenant {name!r} in {namespace!r} that this router serves")
        return tell(router, fleet, entry)

    return routes


def tell(router: Router, fleet: KubernetesFleet, entry: TenantEntry) -> dict[str, Any]:
    """Return a tenant's story as JSON; the fields that the one-machine mode has too are called the same."""
    key = entry.key
    story = fleet.stories.look(key) or Story()
    pod = fleet.pods.current(key)
    template = fleet.registry.template(entry)
    seen = router.activity.tenants.get(key)
    failure = story.last_failure
    problems = [
        f"token {token!r} is kept by the older tenant {other}" for token, other in fleet.registry.rivalries(entry)
    ]
    stale = [
        f"{watch.plural} of {watch.namespace}: {watch.problem}" for watch in fleet.watches if watch.problem is not None
    ]
    return {
        "name": key,
        "template": f"{entry.template[1]}:{template.version}",
        "runtime": template.runtime,
        "power": entry.power,
        "state": story.state,
        "since": story.since,
        "reason": story.reason,
        "pod": None
        if pod is None
        else {"name": pod.name, "uid": pod.uid, "ip": pod.ip, "node": pod.node, "ready": pod.ready, "phase": pod.phase},
        "connections": seen.connections if seen is not None else 0,
        "lastRequest": seen.last_request if seen is not None else 0.0,
        "tokens": len(entry.tokens),
        "wakes": story.wakes,
        "waking": router.waker.under_way(key),
        "lastWake": _phases(story.last_wake, router.waker.last.get(key)),
        "lastFailure": None
        if failure is None
        else {"at": failure[0], "cause": str(failure[1].cause), "text": failure[1].text},
        "operator": {"phase": entry.phase, "problem": entry.problem},
        "problem": "; ".join(problems),
        "api": {"upToDate": not stale, "problems": stale},
        "history": story.history(),
        "next": _next(entry, story),
    }


def _phases(phases: WakePhases | None, timing: WakeTiming | None) -> dict[str, Any] | None:
    """Return the last wake's phases in seconds since the router was asked; what the router timed joins what we saw."""
    if phases is None:
        return None
    marks = {name: getattr(phases, name) for name in ("patched", "pod", "scheduled", "address")}
    # A later wake that found its pod there is the router's last, but not ours.
    same = timing is not None and timing.asked <= phases.asked
    begun = timing.asked if timing is not None and same else phases.asked
    told: dict[str, Any] = {"askedAt": phases.asked_at, "reason": phases.reason}
    told |= {name: round(mark - begun, 4) if mark else None for name, mark in marks.items()}
    if timing is not None and same:
        told |= {
            "admitted": timing.admitted or None,
            "listening": timing.listening or None,
            "ready": timing.ready or None,
        }
    return told


def _next(entry: TenantEntry, story: Story) -> str:
    if entry.power == "Suspended":
        return "nothing wakes it: spec.power is Suspended"
    if story.state == "awake":
        return "the operator puts it to sleep once it is idle" if entry.power == "Auto" else "it stays awake"
    if story.state == "failed":
        return "the next request tries again"
    if story.state == "asleep":
        return "the next request with one of its tokens wakes it"
    return f"it is {story.state}"
