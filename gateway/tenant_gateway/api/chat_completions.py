"""`POST /v1/chat/completions` and `GET /v1/models`, in OpenAI's form; the model is the tenant's agent."""

from __future__ import annotations

import time
from typing import Any, Final
from urllib.parse import unquote

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
from tenant_gateway.storage.sessions import DEFAULT_AGENT

_MODELS: Final = ("openclaw", "openclaw/default", f"openclaw/{DEFAULT_AGENT}")


async def models(exchange: Exchange) -> None:
    """`GET /v1/models`: the agent, under its names."""
    exchange.require("operator.read")
    await exchange.respond(200, {"object": "list", "data": [_model(name) for name in _MODELS]})


async def model(exchange: Exchange) -> None:
    """`GET /v1/models/{id}`."""
    exchange.require("operator.read")
    name = unquote(exchange.request.path.removeprefix("/v1/models/"))
    if name not in _MODELS:
        raise HttpError(404, f"Model '{name}' not found.")
    await exchange.respond(200, _model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}


async def complete(exchange: Exchange) -> None:
    """`POST /v1/chat/completions`, streamed or not."""
    exchange.require("operator.write")
    body = exchange.json()
    name = check_target(body.get("model"))
    messages, system = _messages(body.get("messages"))
    key = session_key(exchange, body.get("user"), "openai")
    run = start(exchange, key, messages, system)
    base = {"id": f"chatcmpl_{run.id}", "created": int(time.time()), "model": name}
    async with aborting(run):
        if body.get("stream") is True:
            options = body.get("stream_options")
            usage = isinstance(options, dict) and options.get("include_usage") is True
            await _stream(exchange, run, base, usage)
            return
        outcome = await run.outcome
    check_outcome(outcome)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": run.reply},
        "finish_reason": _finish_reason(outcome),
    }
    await exchange.respond(200, {**base, "object": "chat.completion", "choices": [choice], "usage": _usage(outcome)})


async def _stream(exchange: Exchange, run: Run, base: dict[str, Any], usage: bool) -> None:
    chunk = {**base, "object": "chat.completion.chunk"}

    def choices(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    await exchange.begin_events()
    await exchange.event(choices({"role": "assistant"}))
    async for piece in pieces(run):
        await exchange.event(choices({"content": piece}))
    outcome = run.outcome.result()
    await exchange.event(choices({}, _finish_reason(outcome)))
    if usage:
        await exchange.event({**chunk, "choices": [], "usage": _usage(outcome)})
    await exchange.event("[DONE]")
    await exchange.end_events()


def _finish_reason(outcome: dict[str, Any]) -> str:
    return "length" if outcome.get("stopReason") == "length" else "stop"


def _usage(outcome: dict[str, Any]) -> dict[str, int]:
    usage = outcome.get("usage") or {}
    prompt, completion = usage.get("input", 0), usage.get("output", 0)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _messages(given: Any) -> tuple[list[Message], str]:
    if not isinstance(given, list) or not all(isinstance(message, dict) for message in given):
        raise HttpError(400, "`messages` must be a list of messages")
    messages: list[Message] = []
    system: list[str] = []
    for message in given:
        role = message.get("role")
        if role in ("system", "developer"):
            content = content_of(message.get("content"))
            system.append(content if isinstance(content, str) else "")
        elif role in ("user", "assistant"):
            content = message.get("content")
            if content is not None:
                messages.append((role, content_of(content)))
        elif role in ("tool", "function"):
            messages.append(("toolResult", ""))
        else:
            raise HttpError(400, f"unknown role {role!r}")
    return [entry for entry in messages if entry[0] != "toolResult"] or messages, "\n\n".join(filter(None, system))
