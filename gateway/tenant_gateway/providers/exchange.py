"""What all APIs share: the request, the stream of events, and what a refusal means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from tenant_gateway.agent.models import Model
from tenant_gateway.providers.answer import ProviderError
from tenant_gateway.providers.http import HttpError, HttpResponse, post
from tenant_gateway.providers.sse import EventReader, EventTooLarge
from tenant_gateway.settings import UPSTREAM_VERSION

_RETRYABLE: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_REASONS: Final = {401: "auth", 402: "billing", 403: "auth", 404: "model_not_found", 408: "timeout", 429: "rate_limit"}
_OVERFLOW: Final = ("context length", "context window", "context_length", "too many tokens", "prompt is too long")


class ModelRequest(msgspec.Struct):
    """One question to a model."""

    model: Model
    system: str
    history: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]]
    thinking: str = ""


class Delta(msgspec.Struct):
    """A piece of an answer."""

    text: str = ""
    thinking: str = ""


async def stream_events(
    model: Model, url: str, headers: dict[str, str], body: dict[str, Any]
) -> AsyncIterator[tuple[str, bytes]]:
    """POST and yield the server-sent events of the response.

    Raises:
        ProviderError: no connection, a refusal, not an event stream, or cut off.
    """
    sent = {
        "Content-Type": "application/json",
        "Accept": "text/event-stream",
        "User-Agent": f"OpenClaw/{UPSTREAM_VERSION} (native)",
        **headers,
        **model.headers,
    }
    reader = EventReader()
    try:
        async with post(url, sent, msgspec.json.encode(body), model.timeout) as response:
            if response.status >= 300:
                raise await _refused(model, response)
            async for chunk in response.chunks():
                for event in reader.feed(chunk):
                    yield event
    except HttpError as error:
        raise ProviderError(
            f"LLM request failed: {error}.",
            {"provider": model.provider, "model": model.id, "failoverReason": error.reason},
            retryable=True,
        ) from None
    except EventTooLarge:
        raise malformed(model) from None


def malformed(model: Model) -> ProviderError:
    """Return the error for an answer that is not what the API is documented to send."""
    return ProviderError(
        "LLM request failed: the provider sent a malformed response.",
        {"provider": model.provider, "model": model.id, "failoverReason": "format"},
        retryable=True,
    )


async def _refused(model: Model, response: HttpResponse) -> ProviderError:
    status = response.status
    text = await response.error_text()
    message, kind = error_message(text)
    detail: dict[str, Any] = {
        "provider": model.provider,
        "model": model.id,
        "httpStatus": status,
        "failoverReason": _REASONS.get(status, "overloaded" if status in (503, 529) else "unknown"),
    }
    if kind:
        detail["providerErrorType"] = kind[:300]
    if message:
        detail["providerErrorMessagePreview"] = message[:300]
    if status == 429:
        detail["errorKind"] = "rate_limit"
    overflow = status in (400, 413) and any(words in message.lower() for words in _OVERFLOW)
    if overflow:
        detail["errorKind"] = "context_length"
        detail["failoverReason"] = "context_overflow"
    shown = f"LLM request failed: HTTP {status}" + (f": {message[:300]}" if message else "")
    return ProviderError(
        shown,
        detail,
        retryable=status in _RETRYABLE,
        retry_after=retry_after(response.headers),
        failover=not overflow,
    )


def error_message(text: str) -> tuple[str, str]:
    """Return message and type of an error body, `{"error": {"message", "type"}}` in either API."""
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text.strip()[:300], ""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return str(error.get("message", "")), str(error.get("type", "") or "")
    return (str(error) if error else text.strip()[:300]), ""


def retry_after(headers: dict[str, str]) -> float | None:
    """Return the seconds of `retry-after-ms` or `Retry-After` (RFC 9110, section 10.2.3: seconds or a date)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if not value:
            return None
        if value[0].isdigit():
            return max(0.0, float(value))
        from datetime import UTC, datetime

        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
