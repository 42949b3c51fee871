"""`tools.invoke`."""

from __future__ import annotations

from typing import Any

from tenant_gateway.api.tools_invoke import reachable_tools, run_tool
from tenant_gateway.methods.registry import Call
from tenant_gateway.tools.base import ToolError


async def invoke(call: Call) -> dict[str, Any]:
    """`tools.invoke`: run one tool, without a model."""
    name = call.required("name")
    arguments = call.params.get("args") or {}
    if not isinstance(arguments, dict):
        raise call.invalid("at /args: must be object")
    tool = reachable_tools(call.gateway.config, hard_deny=True).get(name)
    if tool is None:
        error = {"code": "not_found", "message": f"Tool not available: {name}"}
        return {"ok": False, "toolName": name, "error": error}
    try:
        result = await run_tool(call.gateway, tool, arguments, call.text("sessionKey", "main") or "main", call.id)
    except ToolError as failure:
        return {"ok": False, "toolName": name, "error": {"code": "tool_error", "message": str(failure)}}
    output = {"content": [{"type": "text", "text": result.text}], "details": result.details}
    return {"ok": True, "toolName": name, "source": "core", "output": output}
