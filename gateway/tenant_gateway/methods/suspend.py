"""`gateway.suspend.prepare`, `.status`, `.resume`."""

from __future__ import annotations

from typing import Any

from tenant_gateway.methods.registry import Call


def prepare(call: Call) -> dict[str, Any]:
    """`gateway.suspend.prepare`: `busy`, `draining` or `ready`."""
    return call.gateway.suspension.prepare(call.required("requestId"), call.flag("drain"))


def status(call: Call) -> dict[str, Any]:
    """`gateway.suspend.status`."""
    return call.gateway.suspension.status(call.required("suspensionId"))


def resume(call: Call) -> dict[str, Any]:
    """`gateway.suspend.resume`: open again."""
    resumed = call.gateway.suspension.resume(call.required("suspensionId"))
    return {"ok": True, "status": "running", "resumed": resumed}
