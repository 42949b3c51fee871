"""`POST /v1/responses`, in OpenAI's form (docs/gateway/openresponses-http-api.md)."""

from __future__ import annotations

import time
from typing import Any

from tenant_gateway.agent.runs import Run
from tenant_gateway.api.conversation import (
    Message,
    aborting,
    check_outcome,
    check_target,
    content_of,
    pieces,
    session_key,
    start,
)
from tenant_gateway.server.routes import Exchange, HttpError


async def respond(exchange: Exchange) -> None:
    """Answer a request, streamed or not."""
    exchange.require("operator.write")
    body = exchange.json()
    name = check_target(body.get("model"))
    messages, system = _input(body.get("input"))
    instructions = body.get("instructions")
    if isinstance(instructions, str) and instructions:
        system = f"{instructions}\n\n{system}".strip()
    run = start(exchange, _session_key(exchange, body), messages, system)
    exchange.gateway.http_responses[f"resp_{run.id}"] = run.session_key
    response = _Response(run, name)
    async with aborting(run):
        if body.get("stream") is True:
            await _stream(exchange, run, response)
            return
        outcome = await run.outcome
    check_outcome(outcome)
    await exchange.respond(200, response.object("completed", outcome))


def _session_key(exchange: Exchange, body: dict[str, Any]) -> str:
    previous = body.get("previous_response_id")
    if isinstance(previous, str) and (key := exchange.gateway.http_responses.get(previous)):
        return key
    return session_key(exchange, body.get("user"), "openresponses")


def _input(given: Any) -> tuple[list[Message], str]:
    if isinstance(given, str):
        return [("user", given)], ""
    if not isinstance(given, list):
        raise HttpError(400, "`input` must be text or a list of items")
    messages: list[Message] = []
    system: list[str] = []
    for item in given:
        if not isinstance(item, dict) or item.get("type", "message") != "message":
            raise HttpError(400, "only message items are supported in `input`")
        content = content_of(item.get("content"))
        if item.get("role") in ("system", "developer"):
            system.append(content if isinstance(content, str) else "")
        elif item.get("role") in ("user", "assistant"):
            messages.append((item["role"], content))
        else:
            raise HttpError(400, f"unknown role {item.get('role')!r}")
    return messages, "\n\n".join(filter(None, system))


class _Response:
    def __init__(self, run: Run, model: str) -> None:
        self._run = run
        self._model = model
        self._created = int(time.time())
        self.item_id = f"msg_{run.id}"

    def object(self, status: str, outcome: dict[str, Any] | None = None) -> dict[str, Any]:
        usage = (outcome or {}).get("usage") or {}
        tokens = {"input_tokens": usage.get("input", 0), "output_tokens": usage.get("output", 0)}
        return {
            "id": f"resp_{self._run.id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self._model,
            "output": [self.item("completed", self._run.reply)] if outcome is not None else [],
            "usage": {**tokens, "total_tokens": sum(tokens.values())},
        }

    def item(self, status: str, text: str | None) -> dict[str, Any]:
        content = [] if text is None else [_part(text)]
        return {"type": "message", "id": self.item_id, "role": "assistant", "content": content, "status": status}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


async def _stream(exchange: Exchange, run: Run, response: _Response) -> None:
    number = 0

    async def event(kind: str, **data: Any) -> None:
        nonlocal number
        await exchange.event({"type": kind, "sequence_number": number, **data}, kind)
        number += 1

    place = {"item_id": response.item_id, "output_index": 0, "content_index": 0}
    await exchange.begin_events()
    await event("response.created", response=response.object("in_progress"))
    await event("response.in_progress", response=response.object("in_progress"))
    await event("response.output_item.added", output_index=0, item=response.item("in_progress", None))
    await event("response.content_part.added", **place, part=_part(""))
    try:
        async for piece in pieces(run):
            await event("response.output_text.delta", **place, delta=piece)
    except HttpError as error:
        failed = {**response.object("failed"), "error": {"code": "api_error", "message": str(error)}}
        await event("response.failed", response=failed)
    else:
        outcome = run.outcome.result()
        await event("response.output_text.done", **place, text=run.reply)
        await event("response.content_part.done", **place, part=_part(run.reply))
        await event("response.output_item.done", output_index=0, item=response.item("completed", run.reply))
        await event("response.completed", response=response.object("completed", outcome))
    await exchange.event("[DONE]")
    await exchange.end_events()
