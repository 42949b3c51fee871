"""Asking a model, again after a passing failure, and the next of the list after a lasting one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, Final

from tenant_gateway.agent.models import ANTHROPIC_MESSAGES, OPENAI_COMPLETIONS, Model
from tenant_gateway.agent.runs import Run
from tenant_gateway.agent.thinking import thinking_default
from tenant_gateway.providers.answer import Answer, ProviderError
from tenant_gateway.providers.exchange import Delta, ModelRequest

_ATTEMPTS: Final = 4
_FIRST_DELAY: Final = 0.5
_MAX_DELAY: Final = 30.0
"""Seconds; a provider that asks for more is not waited for but given up."""


async def ask(run: Run, models: list[Model], system: str, history: list[dict[str, Any]]) -> Answer:
    """Return the answer of the first model that gives one. What a failed attempt had shown is taken back.

    Raises:
        ProviderError: the last failure, when no model answered.
    """
    from tenant_gateway.tools.catalog import enabled_tools

    tools = [tool.schema() for tool in enabled_tools(run.gateway.config).values()]
    failure: ProviderError | None = None
    for model in models:
        thinking = run.options.get("thinking") or thinking_default(model)
        request = ModelRequest(model, system, history, tools, thinking)
        run.lifecycle({"phase": "model", "provider": model.provider, "model": model.id})
        try:
            return await _ask_patiently(run, request)
        except ProviderError as error:
            failure = error
            run.gateway.log.warning("%s: %s", model.ref, error.shown)
            if not error.failover:
                break
    assert failure is not None
    raise failure


async def _ask_patiently(run: Run, request: ModelRequest) -> Answer:
    for attempt in range(1, _ATTEMPTS + 1):
        answer = Answer(request.model)
        try:
            async for delta in stream_answer(request, answer):
                if delta.text:
                    run.delta(delta.text)
                if delta.thinking:
                    run.event("thinking", {"text": answer.thinking, "delta": delta.thinking})
            return answer
        except ProviderError as error:
            delay = error.retry_after
            if delay is None:
                delay = min(_MAX_DELAY, _FIRST_DELAY * 2 ** (attempt - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
            if not error.retryable or attempt == _ATTEMPTS or delay > _MAX_DELAY:
                raise
            run.gateway.log.info("%s: %s; again in %.1f s", request.model.ref, error.shown, delay)
            run.take_back()
            await asyncio.sleep(delay)
    raise AssertionError("unreachable")


def stream_answer(request: ModelRequest, answer: Answer) -> AsyncIterator[Delta]:
    """Ask a model through the API that its provider speaks."""
    api = request.model.api
    if api == OPENAI_COMPLETIONS:
        from tenant_gateway.providers import openai_completions

        return openai_completions.stream(request, answer)
    if api == ANTHROPIC_MESSAGES:
        from tenant_gateway.providers import anthropic_messages

        return anthropic_messages.stream(request, answer)
    raise ProviderError(
        f'The native gateway does not speak the API "{api}" of {request.model.ref}.',
        {"provider": request.model.provider, "model": request.model.id, "failoverReason": "format"},
    )
