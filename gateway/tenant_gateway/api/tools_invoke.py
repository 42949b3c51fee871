"""`POST /tools/invoke`, and the method `tools.invoke` (docs/gateway/tools-invoke-http-api.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tenant_gateway.server.routes import Exchange, HttpError
from tenant_gateway.storage.sessions import canonical_key
from tenant_gateway.tools.base import Result, Tool, ToolContext, ToolError
from tenant_gateway.tools.catalog import enabled_tools
from tenant_gateway.workspace.confine import Root

if TYPE_CHECKING:
    from tenant_gateway.config.document import Config
    from tenant_gateway.gateway import Gateway

_DENIED: Final = frozenset({"exec", "process", "sessions_send", "cron"})
"""Not to be had over HTTP unless `gateway.tools.allow` names them: they run commands, or act later."""


def reachable_tools(config: Config, *, hard_deny: bool) -> dict[str, Tool]:
    """Return the tools that may be invoked from outside."""
    allow, deny = config.texts("gateway.tools.allow"), config.texts("gateway.tools.deny")
    denied = {*deny, *(_DENIED - set(allow) if hard_deny else ())}
    return {name: tool for name, tool in enabled_tools(config).items() if name not in denied}


async def run_tool(gateway: Gateway, tool: Tool, arguments: dict[str, Any], key: str, run_id: str) -> Result:
    """Run a tool in the workspace.

    Raises:
        ToolError: it did not do what was asked.
    """
    root = Root(gateway.settings.workspace(gateway.config))
    return await tool.run(ToolContext(gateway, canonical_key(key), run_id, root), arguments)


async def invoke(exchange: Exchange) -> None:
    """`POST /tools/invoke`."""
    exchange.require("operator.write")
    body = exchange.json()
    name = body.get("name") or body.get("tool")
    if not isinstance(name, str) or not name.strip():
        raise _refused(400, "tools.invoke requires body.tool", "invalid_request")
    tool = reachable_tools(exchange.gateway.config, hard_deny=True).get(name.strip())
    if tool is None:
        raise _refused(404, f"Tool not available: {name}", "not_found")
    arguments = body.get("args") or {}
    if not isinstance(arguments, dict):
        raise _refused(400, "args must be an object", "invalid_request")
    if isinstance(body.get("action"), str) and "action" in tool.properties:
        arguments.setdefault("action", body["action"])
    key = body.get("sessionKey") or "main"
    run_id = str(body.get("idempotencyKey") or "http")
    try:
        result = await run_tool(exchange.gateway, tool, arguments, str(key), run_id)
    except ToolError as error:
        raise _refused(400, str(error), "tool_error") from None
    content = [{"type": "text", "text": result.text}, *([result.image] if result.image else [])]
    await exchange.respond(200, {"ok": True, "result": {"content": content, "details": result.details}})


def _refused(status: int, message: str, kind: str) -> HttpError:
    error = HttpError(status, message, kind)
    error.body = {"ok": False, **error.body}
    return error
