"""How a run ends: told to the clients, recorded with what it leaves in its session, and handed to those who wait."""

from __future__ import annotations

from typing import Any

from tenant_gateway.agent.runs import Run
from tenant_gateway.providers.answer import Answer
from tenant_gateway.storage.database import transaction
from tenant_gateway.storage.sessions import now_ms
from tenant_gateway.storage.transcripts import TERMINAL_ERROR


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


def finish_ok(run: Run, answer: Answer, usage: Usage) -> None:
    """Record and tell that the model has nothing more to do."""
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
    settle(run, outcome, "end")


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
            run.record({**_partial(run, "aborted"), "openclawAbort": aborted})
        gateway.runs.finish(run.id, status, outcome)
        if run.started_at:
            _leave(run, "killed", ended, None)
    if run.started_at:
        data = {"phase": "end", "stopReason": reason, "aborted": True, "startedAt": run.started_at, "endedAt": ended}
        run.lifecycle(data)
    run.chat_end("aborted", stopReason=reason)
    settle(run, outcome, "end")


def finish_error(run: Run, message: str, detail: dict[str, Any]) -> None:
    """Record and tell why no model answered; what it had said is kept in the transcript."""
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
            run.record(_partial(run, "error"))
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
    settle(run, outcome, "error")


def settle(run: Run, outcome: dict[str, Any], phase: str) -> None:
    """Hand the outcome to those who wait for it (`agent.wait`, HTTP), and tell those who watch the sessions."""
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


def _partial(run: Run, stop_reason: str) -> dict[str, Any]:
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
