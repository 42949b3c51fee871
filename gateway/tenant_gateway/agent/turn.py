"""A turn: the user's message, the model's answers and tool calls until it says nothing more to do."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tenant_gateway.agent.ending import Usage, finish_aborted, finish_error, finish_ok, settle
from tenant_gateway.agent.models import Model, UnknownModel, candidates, context_tokens
from tenant_gateway.agent.runs import Run
from tenant_gateway.providers.answer import ProviderError
from tenant_gateway.storage.sessions import now_ms

_MAX_ROUNDS: Final = 200
"""Answers of the model in one turn; a turn that goes on beyond is in a circle."""


async def run_turn(run: Run) -> None:
    """Run a turn to its end; the outcome is recorded and told whatever happens, except when the task is cancelled.

    Raises:
        CancelledError: the run was aborted or the gateway stops; the caller finishes it.
    """
    timeout = run.options.get("timeoutMs") or 0
    run.begin()
    try:
        async with asyncio.timeout(timeout / 1000 if timeout else None):
            await _turn(run)
    except TimeoutError:
        run.abort_reason = "timeout"
        finish_aborted(run)
    except UnknownModel as error:
        finish_error(run, str(error), {})
    except ProviderError as error:
        await run.taken_note_of()
        finish_error(run, error.shown, error.detail)


async def _turn(run: Run) -> None:
    from tenant_gateway.agent.prompt import system_prompt
    from tenant_gateway.workspace.bootstrap import seed_workspace

    gateway = run.gateway
    if await _command(run):
        return
    run.status("preparing_workspace")
    workspace = gateway.settings.workspace(gateway.config)
    await asyncio.to_thread(seed_workspace, workspace, gateway.config)
    run.status("preparing_context")
    session = gateway.sessions.ensure(run.session_key)
    run.options.setdefault("thinking", session.settings.get("thinkingLevel") or "")
    models = candidates(gateway.config, run.options.get("model") or session.settings.get("model"))
    prompt = system_prompt(run, workspace, models[0])
    run.started_at = now_ms()
    session.state.update(status="running", startedAt=run.started_at, endedAt=None)
    gateway.sessions.touch(session)
    gateway.sessions.save(session)
    run.lifecycle({"phase": "start", "startedAt": run.started_at})
    gateway.tell_session(run.session_key, "agent.run.started", phase="start", runId=run.id)
    run.status("starting_model")
    await _converse(run, models, prompt)


async def _command(run: Run) -> bool:
    """Answer a slash command; whether the message is one."""
    content = run.message["content"]
    if not isinstance(content, str) or not content.lstrip().startswith("/") or run.options.get("plain"):
        return False
    from tenant_gateway.agent.commands import parse

    parsed = parse(content)
    if parsed is None:
        return False
    command, argument = parsed
    gateway = run.gateway
    # The model never sees a command, and a conversation that was begun anew does not begin with one.
    gateway.transcripts.remove(run.message["idempotencyKey"])
    session = gateway.sessions.ensure(run.session_key)
    run.started_at = now_ms()
    run.text = await command.run(gateway, session, argument)
    outcome = {
        "status": "ok",
        "startedAt": run.started_at,
        "endedAt": now_ms(),
        "stopReason": "stop",
        "terminalReply": {"disposition": "visible" if run.text else "silent", "text": run.text},
    }
    gateway.runs.finish(run.id, "ok", outcome)
    run.chat_end("final")
    settle(run, outcome, "end")
    return True


async def _converse(run: Run, models: list[Model], prompt: str) -> None:
    from tenant_gateway.agent.failover import ask
    from tenant_gateway.tools.call import run_calls

    gateway = run.gateway
    usage = Usage()
    for number in range(1, _MAX_ROUNDS + 1):
        run.begin_item(number)
        history = await _history(run, models[0], prompt)
        answer = await ask(run, models, prompt, history)
        run.flush()
        usage.add(answer)
        run.event("usage", {"outputTokens": usage.output})
        run.end_item(answer.message())
        if answer.tool_calls:
            await run_calls(run, answer.tool_calls)
        else:
            await run.taken_note_of()
            if not gateway.lanes.steering(run):
                finish_ok(run, answer, usage)
                return
        gateway.lanes.steer(run)
    raise ProviderError("The agent did not come to an end.", {"failoverReason": "loop"})


async def _history(run: Run, model: Model, prompt: str) -> list[dict[str, Any]]:
    """Return the conversation as the model is shown it, compacted first when it no longer fits."""
    from tenant_gateway.agent.compaction import NothingToCompact, compact_session, must_compact

    gateway = run.gateway
    history = await _view(run)
    if not must_compact(history, prompt, context_tokens(gateway.config, model) or model.context_window):
        return history
    session = gateway.sessions.get(run.session_key)
    if session is None or session.session_id != run.session_id:
        return history
    run.event("compaction", {"phase": "start"})
    try:
        await compact_session(gateway, session)
    except NothingToCompact:
        run.event("compaction", {"phase": "end", "willRetry": False})
        return history
    run.event("compaction", {"phase": "end", "willRetry": False, "completed": True})
    return await _view(run)


async def _view(run: Run) -> list[dict[str, Any]]:
    """Return the conversation with the files that came with its messages."""
    from tenant_gateway.agent.compaction import conversation, view

    gateway = run.gateway
    history = view(conversation(gateway, run.session_key, run.session_id))
    if not any("media" in message for message in history):
        return history
    from tenant_gateway.agent.media import shown_to_model
    from tenant_gateway.workspace.confine import Root

    root = Root(gateway.settings.workspace(gateway.config))
    return await asyncio.to_thread(shown_to_model, history, root)
