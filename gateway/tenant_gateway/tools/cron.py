"""`cron`: the agent's own jobs."""

from __future__ import annotations

from typing import Any, Final

from tenant_gateway.cron import jobs
from tenant_gateway.methods.registry import RequestError
from tenant_gateway.tools.base import Arguments, Result, Tool, ToolContext, ToolError, text


async def cron(context: ToolContext, arguments: Arguments) -> Result:
    """List, add, remove and run jobs."""
    gateway = context.gateway
    action = text(arguments, "action")
    try:
        if action == "list":
            lines = [f"{job['id']} {job['name']}: {job['schedule']}" for job in gateway.cron.all()]
            return Result("\n".join(lines) or "No jobs")
        if action == "add":
            job = jobs.add(gateway, _given(arguments), "cron tool")
            return Result(f"Added job {job['id']}; it runs next at {job['state'].get('nextRunAtMs')} (ms since 1970)")
        job = jobs.find(gateway, text(arguments, "jobId"))
        if action == "remove":
            gateway.cron.delete(job["id"])
            gateway.scheduler.told(job, "removed")
            return Result(f"Removed job {job['id']}")
        if action == "run":
            return Result(f"Started run {gateway.scheduler.start(job)}")
    except RequestError as error:
        raise ToolError(str(error)) from None
    raise ToolError(f"unknown action {action!r}")


def _given(arguments: Arguments) -> dict[str, Any]:
    return {
        "name": text(arguments, "name"),
        "schedule": arguments.get("schedule"),
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": text(arguments, "message")},
    }


TOOLS: Final = (
    Tool(
        "cron",
        "automation",
        "Cron",
        "Jobs that run by the clock, each in a conversation of its own: list, add, remove, run.",
        {
            "action": {"type": "string", "enum": ["list", "add", "remove", "run"]},
            "name": {"type": "string", "description": "Name of the job (add)"},
            "schedule": {
                "type": "object",
                "description": (
                    'When (add): {"kind":"at","at":ISO 8601} or {"kind":"every","everyMs":N} or '
                    '{"kind":"cron","expr":"0 9 * * *","tz":"Europe/Berlin"}'
                ),
            },
            "message": {"type": "string", "description": "What the agent is told when the job runs (add)"},
            "jobId": {"type": "string", "description": "Job (remove, run)"},
        },
        ("action",),
        cron,
        ("action", "name"),
    ),
)
