"""Running the tool calls of an answer, and telling of them."""

from __future__ import annotations

import asyncio
from typing import Any

from tenant_gateway.agent.runs import Run
from tenant_gateway.providers.answer import ToolCall
from tenant_gateway.storage.sessions import now_ms
from tenant_gateway.tools.base import Result, Tool, ToolContext, ToolError
from tenant_gateway.tools.catalog import enabled_tools
from tenant_gateway.workspace.confine import Root


async def run_calls(run: Run, calls: list[ToolCall]) -> None:
    """Run calls one after the other; the transcript has a result for each, whatever happens.

    A message that comes meanwhile and steers the run makes it skip the calls that have not begun.
    """
    gateway = run.gateway
    tools = enabled_tools(gateway.config)
    root = Root(gateway.settings.workspace(gateway.config))
    context = ToolContext(gateway, run.session_key, run.id, root)
    for position, call in enumerate(calls):
        if position and gateway.lanes.steering(run):
            record_result(run, call, Result("Skipped: the user has sent a new message."), is_error=True)
            continue
        try:
            await _run_call(run, context, tools.get(call.name), call)
        except BaseException:
            # A transcript with a call and no result is refused by every provider.
            for skipped in calls[position:]:
                record_result(run, skipped, Result("The run was stopped."), is_error=True)
            raise


async def _run_call(run: Run, context: ToolContext, tool: Tool | None, call: ToolCall) -> None:
    meta = "" if tool is None else tool.summary(call.arguments)
    label = call.name if tool is None else tool.label
    item: dict[str, Any] = {
        "itemId": f"tool:{call.id}",
        "toolCallId": call.id,
        "name": call.name,
        "kind": "command" if call.name == "exec" else "tool",
        "title": f"{label} {meta}".rstrip(),
        **({"meta": meta} if meta else {}),
        "commandBearing": call.name == "exec",
        "startedAt": now_ms(),
    }
    run.tool_event("item", {**item, "phase": "start", "status": "running"})
    data = {"phase": "start", "name": call.name, "toolCallId": call.id, "args": call.arguments}
    run.tool_event("tool", data)
    result, is_error = await _outcome(context, tool, call)
    record_result(run, call, result, is_error=is_error)
    if not is_error and call.name not in run.tools_used:
        run.tools_used.append(call.name)
    run.tool_event(
        "tool",
        {
            "phase": "result",
            "name": call.name,
            "toolCallId": call.id,
            **({"meta": meta} if meta else {}),
            "isError": is_error,
            "commandBearing": call.name == "exec",
            "result": {"content": [{"type": "text", "text": result.text}], "details": result.details},
        },
    )
    ended = {**item, "phase": "end", "status": "failed" if is_error else "completed", "endedAt": now_ms()}
    run.tool_event("item", ended)


async def _outcome(context: ToolContext, tool: Tool | None, call: ToolCall) -> tuple[Result, bool]:
    if tool is None:
        return Result(f"Tool {call.name} not found"), True
    if call.problem is not None:
        return Result(f"Invalid call of {call.name}: {call.problem}"), True
    try:
        return await tool.run(context, call.arguments), False
    except ToolError as error:
        return Result(str(error)), True
    except asyncio.CancelledError:
        raise
    except Exception as error:
        context.gateway.log.exception("tool %s failed", call.name)
        return Result(f"{call.name} failed: {type(error).__name__}"), True


def record_result(run: Run, call: ToolCall, result: Result, *, is_error: bool) -> None:
    """Write a result into the transcript."""
    content: list[dict[str, Any]] = [{"type": "text", "text": result.text}]
    if result.image is not None:
        content.append(result.image)
    message = {
        "role": "toolResult",
        "toolCallId": call.id,
        "toolName": call.name,
        "content": content,
        "isError": is_error,
        "timestamp": now_ms(),
    }
    run.record(message)
