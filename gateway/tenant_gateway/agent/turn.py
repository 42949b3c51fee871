"""A turn: the user's message, the model's answers and tool calls until it says nothing more to do."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tenant_gateway.agent.models import Model, UnknownModel, candidates, context_tokens
from tenant_gateway.agent.runs import Run
from tenant_gateway.providers.answer import Answer, ProviderError
from tenant_gateway.storage.database import transaction
from tenant_gateway.storage.sessions import now_ms
from tenant_gateway.storage.transcripts import TERMINAL_ERROR

_MAX_ROUNDS: Final = 200
"""Answers of the model in one turn; a turn that goes on beyond is in a circle."""


async def run_turn(run: Run) -> None:
    """Run a turn to its end; the outcome is recorded and told whatever happens, except when the task is cancelled.

    Raises:
        CancelledError: the run was aborted or the gateway stops; the caller finishes it.
    """
    timeout = run.options.get("timeoutMs") or 0
    try:
        async with asyncio.timeout(timeout / 1000 if timeout else None):
            await _turn(run)
    except TimeoutError:
        run.abort_reason = "timeout"
        finish_aborted(run)
    except UnknownModel as error:
        _finish_error(run, str(error), {})
    except ProviderError as error:
        _finish_error(run, error.shown, error.detail)


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
    _settle(run, outcome, "end")
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
        elif not gateway.lanes.steering(run):
            _finish_ok(run, answer, usage)
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


class Usage:
    """Tokens of a turn, summed over its answers."""

    def __init__(self) -> None:
        self.input = 0
        self.output = 0
        self.last_total = 0

    def add(self, answer: Answer) -> None:
        """Count an answer in."""
        self.input += answer.usage["input"]
        self.output += answer.usage["output"]
        self.last_total = answer.usage["input"] + answer.usage["cacheRead"] + answer.usage["cacheWrite"]


def _finish_ok(run: Run, answer: Answer, usage: Usage) -> None:
    gateway = run.gateway
    ended = now_ms()
    model = answer.model
    run.lifecycle(
        {
            "phase": "finishing",
            "stopReason": "stop",
            "aborted": False,
            "livenessState": "working",
            "endedAt": ended,
        }
    )
    terminal = {"disposition": "visible" if run.reply else "silent", "text": run.reply}
    outcome = {
        "status": "ok",
        "startedAt": run.started_at,
        "endedAt": ended,
        "stopReason": "stop",
        "terminalReply": terminal,
        "provider": model.provider,
        "model": model.id,
        "usage": {"input": usage.input, "output": usage.output, "total": usage.input + usage.output},
    }
    with transaction(gateway.database):
        gateway.runs.finish(run.id, "ok", outcome)
        _leave(run, "done", ended, usage)
    run.lifecycle({"phase": "model", "provider": None, "model": None})
    run.lifecycle(
        {
            "stopReason": "stop",
            "aborted": False,
            "livenessState": "working",
            "phase": "end",
            "endedAt": ended,
            "startedAt": run.started_at,
            "replayInvalid": False,
            "terminalReply": terminal,
            "terminalReceipt": {
                "runId": run.id,
                "sessionId": run.session_id,
                "turnId": run.id,
                "requested": {"provider": model.provider, "model": model.id},
                "effective": {"provider": model.provider, "model": model.id, "responseModel": answer.response_model},
                "successfulToolNames": run.tools_used,
                "rerouted": False,
                "terminalDisposition": terminal["disposition"],
            },
            "executionSettled": True,
        }
    )
    run.chat_end("final", stopReason="stop")
    _settle(run, outcome, "end")


def finish_aborted(run: Run) -> None:
    """Record and tell that a run was stopped; what it had said is kept in the transcript."""
    gateway = run.gateway
    ended = now_ms()
    reason = run.abort_reason or "rpc"
    run.flush()
    status = "timeout" if reason in ("rpc", "timeout") else "error"
    outcome = {
        "status": status,
        "summary": "aborted",
        "stopReason": reason,
        "startedAt": run.started_at,
        "endedAt": ended,
        "aborted": True,
    }
    with transaction(gateway.database):
        if run.text:
            aborted = {"aborted": True, "origin": reason, "runId": run.id}
            run.record({**partial_message(run, "aborted"), "openclawAbort": aborted})
        gateway.runs.finish(run.id, status, outcome)
        if run.started_at:
            _leave(run, "killed", ended, None)
    if run.started_at:
        data = {"phase": "end", "stopReason": reason, "aborted": True, "startedAt": run.started_at, "endedAt": ended}
        run.lifecycle(data)
    run.chat_end("aborted", stopReason=reason)
    _settle(run, outcome, "end")


def _finish_error(run: Run, message: str, detail: dict[str, Any]) -> None:
    gateway = run.gateway
    ended = now_ms()
    run.flush()
    outcome = {
        "status": "error",
        "error": message,
        "startedAt": run.started_at,
        "endedAt": ended,
        "stopReason": "error",
    }
    with transaction(gateway.database):
        if run.text:
            run.record(partial_message(run, "error"))
        run.record(_told_failure(run, message, detail))
        gateway.runs.finish(run.id, "error", outcome)
        _leave(run, "failed", ended, None)
    run.lifecycle({"phase": "error", "error": message, "startedAt": run.started_at, "endedAt": ended})
    more: dict[str, Any] = {"errorMessage": message}
    if kind := detail.pop("errorKind", None):
        more["errorKind"] = kind
    if detail:
        more["errorDetail"] = detail
    run.chat_end("error", **more)
    _settle(run, outcome, "error")


def _settle(run: Run, outcome: dict[str, Any], phase: str) -> None:
    run.outcome.set_result(outcome)
    run.news.set()
    run.gateway.tell_session(run.session_key, "agent.input.settled", phase=phase, runId=run.id)


def finish_steered(run: Run, into: Run) -> None:
    """Record and tell that a message became part of another run, which answers it."""
    outcome = {"status": "ok", "steeredInto": into.id, "stopReason": "steered", "endedAt": now_ms()}
    run.gateway.runs.finish(run.id, "ok", outcome)
    run.chat_end("final")
    run.outcome.set_result(outcome)
    run.news.set()


def partial_message(run: Run, stop_reason: str) -> dict[str, Any]:
    """Return the piece of an answer that was said before the run ended."""
    content = [{"type": "text", "text": run.text}]
    return {"role": "assistant", "content": content, "stopReason": stop_reason, "timestamp": now_ms()}


def _told_failure(run: Run, message: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Return what the chat shows of a failure later on; the model is not shown it (`compaction.view`)."""
    return {
        "role": "assistant",
        "content": [{"type": "text", "text": f"⚠️ {message}"}],
        "api": "",
        "provider": detail.get("provider", ""),
        "model": detail.get("model", ""),
        "usage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 0},
        "stopReason": "error",
        "timestamp": now_ms(),
        "idempotencyKey": f"{run.id}{TERMINAL_ERROR}",
    }


def _leave(run: Run, status: str, ended: int, usage: Usage | None) -> None:
    """Write into the session what the run leaves behind."""
    session = run.gateway.sessions.get(run.session_key)
    if session is None or session.session_id != run.session_id:
        return  # it was reset or deleted meanwhile
    state = session.state
    started = run.started_at or ended
    state.update(
        status=status,
        startedAt=started,
        endedAt=ended,
        runtimeMs=ended - started,
        lastRunId=run.id,
        abortedLastRun=status == "killed",
        systemSent=True,
    )
    if usage is not None:
        state.update(inputTokens=usage.input, outputTokens=usage.output, totalTokens=usage.last_total)
    run.gateway.sessions.touch(session)
    run.gateway.sessions.save(session)
