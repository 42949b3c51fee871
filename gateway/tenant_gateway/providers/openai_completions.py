"""OpenAI-compatible chat completions (`api: openai-completions`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec

from tenant_gateway.agent.models import Model
from tenant_gateway.providers.answer import Answer, ProviderError, ToolCall
from tenant_gateway.providers.exchange import Delta, ModelRequest, malformed, stream_events

_STOP_REASONS: Final = {"length": "length", "content_filter": "refusal"}


def request_body(request: ModelRequest) -> dict[str, Any]:
    """Return the body of `POST /chat/completions`."""
    body: dict[str, Any] = {
        "model": request.model.id,
        "messages": [{"role": "system", "content": request.system}, *messages(request.history, request.model)],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": request.model.max_tokens,
    }
    if request.tools:
        body["tools"] = [{"type": "function", "function": tool} for tool in request.tools]
        body["tool_choice"] = "auto"
    if request.model.reasoning and request.thinking not in ("", "off"):
        body["reasoning_effort"] = {"minimal": "low", "xhigh": "high", "max": "high"}.get(
            request.thinking, request.thinking
        )
    return body


def messages(history: Sequence[dict[str, Any]], model: Model) -> list[dict[str, Any]]:
    """Translate a transcript's messages."""
    return [translated for message in history if (translated := _message(message, model)) is not None]


def _message(message: dict[str, Any], model: Model) -> dict[str, Any] | None:
    role, content = message["role"], message["content"]
    if role == "toolResult":
        return {"role": "tool", "tool_call_id": message["toolCallId"], "content": text_of(content)}
    if role == "user":
        return {"role": "user", "content": _user_content(content, model)}
    text = text_of(content)
    calls = [_call(part) for part in content if part["type"] == "toolCall"] if isinstance(content, list) else []
    if not text and not calls:
        return None
    translated: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        translated["tool_calls"] = calls
    return translated


def _call(part: dict[str, Any]) -> dict[str, Any]:
    arguments = msgspec.json.encode(part["arguments"]).decode()
    return {"id": part["id"], "type": "function", "function": {"name": part["name"], "arguments": arguments}}


def _user_content(content: Any, model: Model) -> Any:
    if isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = []
    for part in content:
        if part["type"] == "text":
            parts.append({"type": "text", "text": part["text"]})
        elif part["type"] == "image":
            if "image" in model.inputs:
                url = f"data:{part['mimeType']};base64,{part['data']}"
                parts.append({"type": "image_url", "image_url": {"url": url}})
            else:
                parts.append({"type": "text", "text": "[an image that this model cannot see]"})
    return parts


def text_of(content: Any) -> str:
    """Return the text of a message's content."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")


async def stream(request: ModelRequest, answer: Answer) -> AsyncIterator[Delta]:
    """Ask, yield what comes, and fill the answer.

    Raises:
        ProviderError: refused, cut off, not understood.
    """
    model = request.model
    headers = {"Authorization": f"Bearer {model.api_key}"} if model.api_key else {}
    calls: dict[int, _PartialCall] = {}
    finished = False
    async for _, data in stream_events(model, f"{model.base_url}/chat/completions", headers, request_body(request)):
        if data.strip() == b"[DONE]":
            finished = True
            break
        chunk = _decode(data, model)
        _take_usage(chunk, answer)
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            thinking = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(thinking, str) and thinking:
                answer.thinking += thinking
                yield Delta(thinking=thinking)
            if isinstance(text := delta.get("content"), str) and text:
                answer.text += text
                yield Delta(text=text)
            for piece in delta.get("tool_calls") or ():
                _take_call(piece, calls)
            if reason := choice.get("finish_reason"):
                finished = True
                answer.stop_reason = _STOP_REASONS.get(reason, "stop")
    if not finished:
        raise ProviderError(
            "LLM request failed: the provider's answer was cut off.",
            {"provider": model.provider, "model": model.id, "failoverReason": "timeout"},
            retryable=True,
        )
    answer.tool_calls = [call.finish(index) for index, call in sorted(calls.items())]


def _decode(data: bytes, model: Model) -> dict[str, Any]:
    try:
        chunk = msgspec.json.decode(data)
    except msgspec.DecodeError:
        raise malformed(model) from None
    if not isinstance(chunk, dict):
        raise malformed(model)
    if error := chunk.get("error"):
        message = error.get("message", "") if isinstance(error, dict) else str(error)
        raise ProviderError(
            f"LLM request failed: {message[:300]}",
            {"provider": model.provider, "model": model.id, "providerErrorMessagePreview": message[:300]},
            retryable=True,
        )
    return chunk


def _take_usage(chunk: dict[str, Any], answer: Answer) -> None:
    if chunk.get("id"):
        answer.response_id = str(chunk["id"])
    if chunk.get("model"):
        answer.response_model = str(chunk["model"])
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        answer.usage["input"] = max(0, (usage.get("prompt_tokens") or 0) - cached)
        answer.usage["cacheRead"] = cached
        answer.usage["output"] = usage.get("completion_tokens") or 0


class _PartialCall:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = ""

    def finish(self, index: int) -> ToolCall:
        call_id = self.id or f"call_{index}"
        try:
            arguments = msgspec.json.decode(self.arguments or "{}")
        except msgspec.DecodeError as error:
            return ToolCall(call_id, self.name, {}, f"the arguments are no JSON: {error}")
        if not isinstance(arguments, dict):
            return ToolCall(call_id, self.name, {}, "the arguments must be an object")
        return ToolCall(call_id, self.name, arguments)


def _take_call(piece: dict[str, Any], calls: dict[int, _PartialCall]) -> None:
    index = piece.get("index")
    call = calls.setdefault(index if isinstance(index, int) else len(calls), _PartialCall())
    call.id = piece.get("id") or call.id
    function = piece.get("function") or {}
    call.name += function.get("name") or ""
    call.arguments += function.get("arguments") or ""
