"""Anthropic's messages (`api: anthropic-messages`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from tenant_gateway.agent.models import Model
from tenant_gateway.providers.answer import Answer, ProviderError, ToolCall
from tenant_gateway.providers.exchange import Delta, ModelRequest, malformed, stream_events

_VERSION: Final = "2023-06-01"
_STOP_REASONS: Final = {"max_tokens": "length", "refusal": "refusal"}
_BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
"""Tokens of thinking by upstream's thinking level."""

_CACHED: Final = {"cache_control": {"type": "ephemeral"}}


def request_body(request: ModelRequest) -> dict[str, Any]:
    """Return the body of `POST /v1/messages`. System prompt, tools and the conversation so far are cached."""
    model = request.model
    translated = messages(request.history, model)
    if translated:
        translated[-1]["content"][-1] |= _CACHED
    body: dict[str, Any] = {
        "model": model.id,
        "max_tokens": model.max_tokens,
        "system": [{"type": "text", "text": request.system, **_CACHED}],
        "messages": translated,
        "stream": True,
    }
    if request.tools:
        body["tools"] = [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in request.tools
        ]
    budget = _BUDGETS.get(request.thinking, 0) if model.reasoning else 0
    if budget:
        body["thinking"] = {"type": "enabled", "budget_tokens": min(budget, model.max_tokens - 1)}
        body["max_tokens"] = model.max_tokens + budget
    return body


def messages(history: Sequence[dict[str, Any]], model: Model) -> list[dict[str, Any]]:
    """Translate a transcript's messages; neighbours of one role become one message, as the API wants it."""
    translated: list[dict[str, Any]] = []
    for message in history:
        role = "assistant" if message["role"] == "assistant" else "user"
        content = _blocks(message, model)
        if not content:
            continue
        if translated and translated[-1]["role"] == role:
            translated[-1]["content"] += content
        else:
            translated.append({"role": role, "content": content})
    return translated


def _blocks(message: dict[str, Any], model: Model) -> list[dict[str, Any]]:
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if message["role"] == "toolResult":
        inner = [block for part in parts if (block := _block(part, model)) is not None]
        result = {"type": "tool_result", "tool_use_id": message["toolCallId"], "content": inner}
        if message.get("isError"):
            result["is_error"] = True
        return [result]
    # A thought goes back only to the model that had it: the signature is no other's.
    own = message.get("provider") == model.provider and message.get("model") == model.id
    return [block for part in parts if (block := _block(part, model, own)) is not None]


def _block(part: dict[str, Any], model: Model, own: bool = False) -> dict[str, Any] | None:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": part["text"]} if part["text"].strip() else None
    if kind == "toolCall":
        return {"type": "tool_use", "id": part["id"], "name": part["name"], "input": part["arguments"]}
    if kind == "thinking" and own and part.get("thinkingSignature"):
        return {"type": "thinking", "thinking": part["thinking"], "signature": part["thinkingSignature"]}
    if kind == "image":
        if "image" not in model.inputs:
            return {"type": "text", "text": "[an image that this model cannot see]"}
        source = {"type": "base64", "media_type": part["mimeType"], "data": part["data"]}
        return {"type": "image", "source": source}
    return None


async def stream(request: ModelRequest, answer: Answer) -> AsyncIterator[Delta]:
    """Ask, yield what comes, and fill the answer.

    Raises:
        ProviderError: refused, cut off, not understood.
    """
    model = request.model
    headers = {"anthropic-version": _VERSION}
    if model.auth_header:
        headers["Authorization"] = f"Bearer {model.api_key}"
    elif model.api_key:
        headers["x-api-key"] = model.api_key
    base = model.base_url.removesuffix("/v1")
    calls: dict[int, _PartialCall] = {}
    finished = False
    async for _, data in stream_events(model, f"{base}/v1/messages", headers, request_body(request)):
        event = _decode(data, model)
        kind = event.get("type")
        if kind == "message_start":
            message = event.get("message") or {}
            answer.response_id = str(message.get("id") or "")
            answer.response_model = str(message.get("model") or model.id)
            _take_usage(message.get("usage"), answer)
        elif kind == "content_block_start":
            block = event.get("content_block") or {}
            if block.get("type") == "tool_use":
                calls[event["index"]] = _PartialCall(str(block.get("id")), str(block.get("name")))
        elif kind == "content_block_delta":
            delta = _take_delta(event, answer, calls)
            if delta is not None:
                yield delta
        elif kind == "message_delta":
            reason = (event.get("delta") or {}).get("stop_reason")
            answer.stop_reason = _STOP_REASONS.get(str(reason), "stop")
            _take_usage(event.get("usage"), answer)
        elif kind == "message_stop":
            finished = True
            break
        elif kind == "error":
            raise _error(event, model)
    if not finished:
        raise ProviderError(
            "LLM request failed: the provider's answer was cut off.",
            {"provider": model.provider, "model": model.id, "failoverReason": "timeout"},
            retryable=True,
        )
    answer.tool_calls = [call.finish() for _, call in sorted(calls.items())]


def _take_delta(event: dict[str, Any], answer: Answer, calls: dict[int, _PartialCall]) -> Delta | None:
    delta = event.get("delta") or {}
    kind = delta.get("type")
    if kind == "text_delta":
        answer.text += delta["text"]
        return Delta(text=delta["text"])
    if kind == "thinking_delta":
        answer.thinking += delta["thinking"]
        return Delta(thinking=delta["thinking"])
    if kind == "signature_delta":
        answer.thinking_signature += delta["signature"]
    elif kind == "input_json_delta" and event["index"] in calls:
        calls[event["index"]].arguments += delta["partial_json"]
    return None


def _take_usage(usage: Any, answer: Answer) -> None:
    if not isinstance(usage, dict):
        return
    for ours, theirs in _USAGE:
        if usage.get(theirs) is not None:
            answer.usage[ours] = usage[theirs]


_USAGE: Final = (
    ("input", "input_tokens"),
    ("output", "output_tokens"),
    ("cacheRead", "cache_read_input_tokens"),
    ("cacheWrite", "cache_creation_input_tokens"),
)


def _decode(data: bytes, model: Model) -> dict[str, Any]:
    try:
        event = msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise malformed(model) from None
    if not isinstance(event, dict):
        raise malformed(model)
    return event


def _error(event: dict[str, Any], model: Model) -> ProviderError:
    error = event.get("error") or {}
    message = str(error.get("message", ""))[:300]
    kind = str(error.get("type", ""))
    detail = {"provider": model.provider, "model": model.id, "providerErrorType": kind}
    if kind == "overloaded_error":
        detail["failoverReason"] = "overloaded"
    return ProviderError(f"LLM request failed: {message}", detail, retryable=kind in ("overloaded_error", "api_error"))


class _PartialCall:
    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.arguments = ""

    def finish(self) -> ToolCall:
        try:
            arguments = msgspec.json.decode(self.arguments or "{}")
        except msgspec.DecodeError as error:
            return ToolCall(self.id, self.name, {}, f"the arguments are no JSON: {error}")
        if not isinstance(arguments, dict):
            return ToolCall(self.id, self.name, {}, "the arguments must be an object")
        return ToolCall(self.id, self.name, arguments)
