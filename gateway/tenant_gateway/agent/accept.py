"""Taking a message in: on disk first, then its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenant_gateway.agent.runs import Run
from tenant_gateway.storage.database import transaction
from tenant_gateway.storage.runs import QUEUED, STARTED, RunRecord
from tenant_gateway.storage.sessions import now_ms

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


def accept(
    gateway: Gateway,
    key: str,
    run_id: str,
    content: Any,
    *,
    method: str,
    options: dict[str, Any],
    sender: dict[str, Any] | None = None,
    media: list[dict[str, Any]] | None = None,
) -> Run:
    """Write a message down and start its run, or queue it behind the one under way.

    When this returns, the message survives whatever happens to the process. A queued message joins the transcript
    when its turn comes: before that the running turn must not see it.

    Raises:
        RequestError: the session's queue is full.
    """
    lanes = gateway.lanes
    lanes.check_room(key)
    message: dict[str, Any] = {
        "role": "user",
        "content": content,
        "timestamp": now_ms(),
        "idempotencyKey": f"{run_id}:user",
    }
    if sender:
        message["sender"] = sender
    if media:
        message["media"] = media
    idle = lanes.active(key) is None
    with transaction(gateway.database):
        session = gateway.sessions.ensure(key)
        gateway.sessions.touch(session, interaction=method != "cron")
        gateway.sessions.save(session)
        request = {"method": method, "message": message, "options": options}
        gateway.runs.accept(run_id, key, session.session_id, request, STARTED if idle else QUEUED)
        entry = None
        if idle:
            entry = gateway.transcripts.append(session.session_id, message, run_id, message["idempotencyKey"])
    run = Run(gateway, run_id, key, session.session_id, message, options)
    run.recorded = idle
    if entry is not None:
        gateway.tell_message(key, entry)
    gateway.tell_session(key, "send")
    lanes.submit(run)
    return run


def begin(run: Run) -> None:
    """Let a queued message join the transcript, now that its turn has come."""
    gateway = run.gateway
    with transaction(gateway.database):
        session = gateway.sessions.ensure(run.session_key)
        run.session_id = session.session_id  # the session may have been reset while the message waited
        entry = gateway.transcripts.append(run.session_id, run.message, run.id, run.message["idempotencyKey"])
        gateway.runs.start(run.id, run.session_id)
    run.recorded = True
    gateway.tell_message(run.session_key, entry)


def resume(gateway: Gateway, records: list[RunRecord]) -> None:
    """Queue again what a gateway before this one accepted and had not begun."""
    for record in records:
        request = record.request
        run = Run(gateway, record.run_id, record.session_key, record.session_id, request["message"], request["options"])
        gateway.lanes.submit(run)
