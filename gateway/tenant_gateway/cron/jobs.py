"""A job as clients give it, made whole and checked."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

from tenant_gateway.cron.schedule import InvalidSchedule, next_run
from tenant_gateway.methods.registry import RequestError
from tenant_gateway.storage.sessions import now_ms

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_MAX_JOBS: Final = 200
_REQUIRED: Final = ("name", "schedule", "sessionTarget", "wakeMode", "payload")
_EDITABLE: Final = (
    "name",
    "displayName",
    "description",
    "enabled",
    "deleteAfterRun",
    "schedule",
    "sessionTarget",
    "sessionKey",
    "wakeMode",
    "payload",
    "delivery",
)


class JobNotFound(RequestError):
    """There is no job with this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"unknown cron job id: {job_id}", details={"code": "CRON_JOB_NOT_FOUND", "jobId": job_id})


def add(gateway: Gateway, given: dict[str, Any], where: str = "cron.add") -> dict[str, Any]:
    """Make a job.

    Raises:
        RequestError: something is missing or not understood, or there are very many already.
    """
    missing = [f"must have required property '{name}'" for name in _REQUIRED if given.get(name) is None]
    if missing:
        raise RequestError(f"invalid {where} params: {'; '.join(missing)}")
    if gateway.cron.count() >= _MAX_JOBS:
        raise RequestError(f"there are {_MAX_JOBS} cron jobs already")
    now = now_ms()
    job: dict[str, Any] = {"id": str(uuid.uuid4()), "name": "", "enabled": True, "createdAtMs": now, "updatedAtMs": now}
    job.update({name: given[name] for name in _EDITABLE if given.get(name) is not None})
    if job["schedule"].get("kind") == "every":
        job["schedule"] = {"anchorMs": now, **job["schedule"]}
    job["state"] = {}
    _check(gateway, job, where)
    gateway.cron.save(job)
    gateway.scheduler.told(job, "added")
    return job


def update(gateway: Gateway, job_id: str, patch: dict[str, Any]) -> dict[str, Any]:
    """Change a job; raises as `add`, and JobNotFound."""
    job = find(gateway, job_id)
    for name in _EDITABLE:
        if name in patch:
            if name == "payload" and isinstance(patch[name], dict):
                job["payload"] = {**job["payload"], **patch["payload"]}
            elif patch[name] is None:
                job.pop(name, None)
            else:
                job[name] = patch[name]
    job["updatedAtMs"] = now_ms()
    _check(gateway, job, "cron.update")
    gateway.cron.save(job)
    gateway.scheduler.told(job, "updated")
    return job


def find(gateway: Gateway, job_id: str) -> dict[str, Any]:
    """Return a job; raises JobNotFound."""
    job = gateway.cron.get(job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _check(gateway: Gateway, job: dict[str, Any], where: str) -> None:
    payload, schedule = job.get("payload"), job.get("schedule")
    if not isinstance(payload, dict) or not isinstance(schedule, dict) or not isinstance(job.get("name"), str):
        raise RequestError(f"invalid {where} params: name must be string, schedule and payload objects")
    kind, target = payload.get("kind"), job.get("sessionTarget")
    text = payload.get("text") if kind == "systemEvent" else payload.get("message")
    if kind not in ("systemEvent", "agentTurn") or not isinstance(text, str) or not text.strip():
        raise RequestError(
            f"invalid {where} params: at /payload: must be a systemEvent with text or an agentTurn with message"
        )
    if not isinstance(target, str) or (
        target not in ("main", "isolated", "current") and not target.startswith("session:")
    ):
        raise RequestError(f"invalid {where} params: at /sessionTarget: must be main, isolated, current or session:…")
    if (target == "main") != (kind == "systemEvent"):
        raise RequestError('main cron jobs require payload.kind="systemEvent", the others payload.kind="agentTurn"')
    zone = gateway.config.text("agents.defaults.userTimezone")
    try:
        due = next_run(schedule, now_ms(), zone) if job["enabled"] else None
    except InvalidSchedule as error:
        raise RequestError(f"invalid {where} params: at /schedule: {error}") from None
    if due is None:
        job["state"].pop("nextRunAtMs", None)
    else:
        job["state"]["nextRunAtMs"] = due
