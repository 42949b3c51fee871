"""What the HTTP interfaces share: which session a request means, and running its message."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from tenant_gateway.agent.accept import accept
from tenant_gateway.agent.runs import Run
from tenant_gateway.methods.registry import RequestError
from tenant_gateway.server.routes import Exchange, HttpError
from tenant_gateway.storage.database import transaction
from tenant_gateway.storage.sessions import DEFAULT_AGENT, canonical_key, now_ms

_RESERVED: Final = ("subagent:", "cron:", "acp:")
_MAX_IMAGES: Final = 8
_TARGETS: Final = (
    "",
    "openclaw",
    "openclaw/default",
    f"openclaw/{DEFAULT_AGENT}",
    f"openclaw:{DEFAULT_AGENT}",
    f"agent:{DEFAULT_AGENT}",
)

Message = tuple[str, Any]
"""Role and content, in the form of the transcript."""


def check_target(model: Any) -> str:
    """Return the model as asked for; it names an agent, not a provider's model.

    Raises:
        HttpError: an agent that there is not.
    """
    name = model if isinstance(model, str) else ""
    if name.lower() not in _TARGETS:
        raise HttpError(400, "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.")
    return name or "openclaw"


def session_key(exchange: Exchange, user: Any, prefix: str) -> str:
    """Return the session of a request: the one it names, one for its `user`, else a new one."""
    explicit = exchange.request.headers.get("x-openclaw-session-key", "").strip()
    if explicit:
        key = canonical_key(explicit)
        if key.removeprefix(f"agent:{DEFAULT_AGENT}:").startswith(_RESERVED):
            raise HttpError(400, "x-openclaw-session-key uses a reserved namespace")
        return key
    if isinstance(user, str) and user.strip():
        digest = hashlib.sha256(user.strip().encode()).hexdigest()[:24]
        return f"agent:{DEFAULT_AGENT}:{prefix}-user:{digest}"
    return f"agent:{DEFAULT_AGENT}:{prefix}:{uuid.uuid4()}"


def content_of(content: Any) -> Any:
    """Return a message's content in the form of the transcript; texts and images that are given as data.

    Raises:
        HttpError: something else.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise HttpError(400, "the content of a message must be text or a list of parts")
    parts: list[dict[str, Any]] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "input_text", "output_text"):
            parts.append({"type": "text", "text": str(part.get("text", ""))})
        elif kind in ("image_url", "input_image"):
            parts.append(_image(part))
        else:
            raise HttpError(400, f"content parts of type {kind!r} are not supported")
    if sum(part["type"] == "image" for part in parts) > _MAX_IMAGES:
        raise HttpError(400, f"more than {_MAX_IMAGES} images")
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _image(part: dict[str, Any]) -> dict[str, Any]:
    source = part.get("image_url")
    url = source.get("url") if isinstance(source, dict) else source
    if not isinstance(url, str) or not url.startswith("data:image/"):
        raise HttpError(400, "images must be data: URLs")
    kind, _, data = url.removeprefix("data:").partition(";base64,")
    if not data:
        raise HttpError(400, "images must be base64")
    return {"type": "image", "data": data, "mimeType": kind}


def start(exchange: Exchange, key: str, messages: list[Message], system: str) -> Run:
    """Start the run of a request's last message. A new session begins with the messages before it.

    Raises:
        HttpError: there is no message of a user at the end.
    """
    while messages and messages[-1][0] != "user":
        if messages[-1][0] == "toolResult":
            raise HttpError(400, "results of client tools are not supported")
        messages.pop()
    if not messages or not messages[-1][1]:
        raise HttpError(400, "Missing user message in `messages`.")
    gateway = exchange.gateway
    options: dict[str, Any] = {"queueMode": "followup", "plain": True}
    if system:
        options["extraSystemPrompt"] = system
    if model := exchange.request.headers.get("x-openclaw-model", "").strip():
        exchange.require("operator.admin")
        options["model"] = model
    _seed(exchange, key, messages[:-1])
    sender = {"id": "gateway-client", "mode": "backend", "displayName": "http"}
    try:
        return accept(gateway, key, str(uuid.uuid4()), messages[-1][1], method="http", options=options, sender=sender)
    except RequestError as error:
        raise HttpError(429, str(error), "rate_limit_error") from None


def _seed(exchange: Exchange, key: str, messages: list[Message]) -> None:
    gateway = exchange.gateway
    if not messages or gateway.sessions.get(key) is not None:
        return
    with transaction(gateway.database):
        session = gateway.sessions.create(key, {}, "http")
        for role, content in messages:
            shaped = (
                [{"type": "text", "text": content}] if role == "assistant" and isinstance(content, str) else content
            )
            gateway.transcripts.append(session.session_id, {"role": role, "content": shaped, "timestamp": now_ms()})


@asynccontextmanager
async def aborting(run: Run) -> AsyncIterator[None]:
    """A client that leaves takes its run with it (docs/gateway/openai-http-api.md)."""
    try:
        yield
    except (asyncio.CancelledError, ConnectionError):
        if not run.outcome.done():
            run.gateway.lanes.abort(run, "rpc")
        raise


async def pieces(run: Run) -> AsyncIterator[str]:
    """Yield the reply as it grows, until the run has ended.

    Raises:
        HttpError: the run failed, or took back what was sent already.
    """
    sent = ""
    while True:
        await run.news.wait()
        run.news.clear()
        reply = run.reply
        if not reply.startswith(sent):
            raise HttpError(500, "the provider failed in the middle of its answer", "api_error")
        if len(reply) > len(sent):
            yield reply[len(sent) :]
            sent = reply
        if run.outcome.done():
            check_outcome(run.outcome.result())
            return


def check_outcome(outcome: dict[str, Any]) -> None:
    """Raise HttpError for a run that did not end well."""
    if outcome.get("status") != "ok":
        message = str(outcome.get("error") or outcome.get("summary") or "the run failed")
        raise HttpError(500, message, "api_error")
