"""`cron.list`, `.status`, `.get`, `.add`, `.update`, `.remove`, `.run`, `.runs`."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

import msgspec

from tenant_gateway.cron import jobs
from tenant_gateway.methods.registry import Call
from tenant_gateway.storage.sessions import now_ms

_PREVIEW: Final = {"label": "not requested", "detail": "not requested"}


def list_jobs(call: Call) -> dict[str, Any]:
    """`cron.list`: the jobs, disabled ones only when asked for."""
    found = call.gateway.cron.all()
    enabled = call.text("enabled", "all" if call.flag("includeDisabled") else "enabled")
    if enabled != "all":
        found = [job for job in found if job["enabled"] == (enabled == "enabled")]
    if query := call.text("query").lower():
        found = [job for job in found if query in f"{job['name']} {job.get('description', '')}".lower()]
    kind = call.text("scheduleKind", "all")
    if kind != "all":
        found = [job for job in found if job["schedule"]["kind"] == kind]
    status = call.text("lastRunStatus", "all")
    if status != "all":
        found = [job for job in found if job["state"].get("lastRunStatus", "unknown") == status]
    _sort(found, call.text("sortBy", "nextRunAtMs"), call.text("sortDir") == "desc")
    limit, offset = call.number("limit", 200, 1, 200), call.number("offset", 0)
    page = found[offset : offset + limit]
    more = offset + len(page) < len(found)
    shown = [_shown(job) for job in page]
    return {
        "jobs": shown,
        "snapshotRevision": _revision(shown),
        "total": len(found),
        "offset": offset,
        "limit": limit,
        "hasMore": more,
        "nextOffset": offset + len(page) if more else None,
        "deliveryPreviews": {job["id"]: _PREVIEW for job in page},
    }


def _sort(found: list[dict[str, Any]], by: str, descending: bool) -> None:
    if by == "name":
        found.sort(key=lambda job: str(job["name"]).lower(), reverse=descending)
    elif by == "updatedAtMs":
        found.sort(key=lambda job: int(job["updatedAtMs"]), reverse=descending)
    else:
        found.sort(key=lambda job: job["state"].get("nextRunAtMs") or 2**53, reverse=descending)


def _shown(job: dict[str, Any]) -> dict[str, Any]:
    shown = {**job, "configRevision": _revision({name: value for name, value in job.items() if name != "state"})}
    if job["state"].get("nextRunAtMs"):
        shown["nextRunAtMs"] = job["state"]["nextRunAtMs"]
    return {**shown, "effectiveAgentId": "main", "deliveryPreview": _PREVIEW}


def _revision(value: Any) -> str:
    digest = hashlib.sha256(msgspec.json.encode(value)).digest()
    return "sha256:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def status(call: Call) -> dict[str, Any]:
    """`cron.status`: how many jobs there are and when the next one runs; who puts this gateway to sleep asks it."""
    gateway = call.gateway
    path = str(gateway.settings.database)
    enabled = gateway.scheduler.enabled
    return {
        "enabled": enabled,
        "triggersEnabled": False,
        "storePath": path,
        "storage": "sqlite",
        "sqlitePath": path,
        "jobs": gateway.cron.count(),
        "nextWakeAtMs": gateway.cron.next_due() if enabled else None,
    }


def get(call: Call) -> dict[str, Any]:
    """`cron.get`."""
    return _shown(jobs.find(call.gateway, _id(call)))


def add(call: Call) -> dict[str, Any]:
    """`cron.add`."""
    return _shown(jobs.add(call.gateway, call.params))


def update(call: Call) -> dict[str, Any]:
    """`cron.update`."""
    patch = call.params.get("patch")
    if not isinstance(patch, dict):
        raise call.invalid("must have required property 'patch'" if patch is None else "at /patch: must be object")
    return _shown(jobs.update(call.gateway, _id(call), patch))


def remove(call: Call) -> dict[str, Any]:
    """`cron.remove`."""
    gateway = call.gateway
    job = gateway.cron.get(_id(call))
    if job is None:
        return {"ok": True, "removed": False}
    gateway.cron.delete(job["id"])
    gateway.scheduler.told(job, "removed")
    return {"ok": True, "removed": True}


def run(call: Call) -> dict[str, Any]:
    """`cron.run`: now, whatever its schedule says; with `mode: due` only when its time has come."""
    gateway = call.gateway
    job = jobs.find(gateway, _id(call))
    mode = call.text("mode", "force")
    if gateway.scheduler.is_running(job["id"]):
        return {"ok": True, "ran": False, "reason": "already-running"}
    due = job["state"].get("nextRunAtMs")
    if (mode == "due" and (due is None or due > now_ms())) or (mode == "if-enabled" and not job["enabled"]):
        return {"ok": True, "ran": False, "reason": "not-due" if mode == "due" else "disabled"}
    return {"ok": True, "ran": True, "enqueued": True, "runId": gateway.scheduler.start(job)}


def runs(call: Call) -> dict[str, Any]:
    """`cron.runs`: what jobs did, the latest first."""
    limit, offset = call.number("limit", 50, 1, 200), call.number("offset", 0)
    job_id = call.text("id") or call.text("jobId")
    entries, total = call.gateway.cron.runs(job_id or None, limit, offset)
    more = offset + len(entries) < total
    return {
        "entries": entries,
        "total": total,
        "offset": offset,
        "limit": limit,
        "hasMore": more,
        "nextOffset": offset + len(entries) if more else None,
    }


def _id(call: Call) -> str:
    job_id = call.text("id") or call.text("jobId")
    if not job_id:
        raise call.invalid("must have required property 'id'")
    return job_id
