"""`chat.send`, and what the other methods that take a message share with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from tenant_gateway.agent.accept import accept
from tenant_gateway.methods.dispatch import check_phase
from tenant_gateway.methods.registry import Call, RequestError
from tenant_gateway.storage.sessions import canonical_key

_STOP_WORDS: Final = frozenset({"/stop", "/abort"})
"""Messages that stop what runs instead of waiting behind it."""


def send(call: Call) -> dict[str, Any] | Awaitable[dict[str, Any]]:
    """`chat.send`: the message is in the transcript, on disk, before the answer says `started`."""
    key = canonical_key(call.required("sessionKey"))
    run_id = call.required("idempotencyKey")
    message = call.params.get("message")
    if not isinstance(message, str):
        raise call.invalid(
            "must have required property 'message'" if message is None else "at /message: must be string"
        )
    if (known := known_run(call, run_id)) is not None:
        return known
    if message.strip().lower() in _STOP_WORDS:
        return _stop(call, key)
    if not message.strip() and not call.params.get("attachments"):
        raise RequestError("message or attachment required")
    options = {
        name: call.params[name] for name in ("thinking", "timeoutMs", "queueMode") if call.params.get(name) is not None
    }
    return take(call, key, run_id, message, options)


def take(
    call: Call, key: str, run_id: str, message: str, options: dict[str, Any]
) -> dict[str, Any] | Awaitable[dict[str, Any]]:
    """Accept a message of a client, at once, or when the files that come with it are on disk."""
    if call.params.get("attachments"):
        return _take_with_files(call, key, run_id, message, options)
    run = accept(call.gateway, key, run_id, message, method=call.method, options=options, sender=call.client.describe())
    run.asked_by = call.client
    return {"runId": run_id, "status": "started"}


async def _take_with_files(call: Call, key: str, run_id: str, message: str, options: dict[str, Any]) -> dict[str, Any]:
    media = await take_files(call)
    if (known := known_run(call, run_id)) is not None:
        return known  # the same request came again while the files were written
    check_phase(call.gateway, call.method)  # as when it came: meanwhile the gateway may have been told to sleep
    sender = call.client.describe()
    run = accept(call.gateway, key, run_id, message, method=call.method, options=options, sender=sender, media=media)
    run.asked_by = call.client
    return {"runId": run_id, "status": "started"}


async def take_files(call: Call) -> list[dict[str, Any]]:
    """Write the attachments of a request into the workspace and return what the transcript says of them.

    Raises:
        RequestError: one of them is not taken, or cannot be written.
    """
    from tenant_gateway.agent.media import AttachmentError, read_attachments, store
    from tenant_gateway.workspace.bootstrap import seed_workspace
    from tenant_gateway.workspace.confine import Outside, Root

    gateway = call.gateway
    workspace = gateway.settings.workspace(gateway.config)

    def work() -> list[dict[str, Any]]:
        attachments = read_attachments(call.params.get("attachments"))
        # Before there is a file in it: only an empty workspace is given the files that a new one begins with.
        seed_workspace(workspace, gateway.config)
        return store(Root(workspace), attachments)

    try:
        return await asyncio.to_thread(work)
    except AttachmentError as error:
        raise RequestError(f"Error: {error}") from None
    except (OSError, Outside) as error:
        raise RequestError(f"attachments cannot be written: {error}", "UNAVAILABLE") from None


def _stop(call: Call, key: str) -> dict[str, Any]:
    gateway = call.gateway
    lanes = gateway.lanes
    active = lanes.active(key)
    runs = [*lanes.waiting(key), *([] if active is None else [active])]
    for run in runs:
        lanes.abort(run, "stop")
    return {"ok": True, "aborted": bool(runs), "runIds": [run.id for run in runs]}


def known_run(call: Call, run_id: str) -> dict[str, Any] | None:
    """Return the answer to a repeated idempotency key: the state of its run."""
    record = call.gateway.runs.get(run_id)
    if record is None:
        return None
    if record.ended_at is None:
        return {"runId": run_id, "status": "in_flight"}
    outcome = record.outcome or {}
    known: dict[str, Any] = {"runId": run_id, "status": record.status}
    for name in ("summary", "stopReason", "startedAt", "endedAt", "error"):
        if outcome.get(name) is not None:
            known[name] = outcome[name]
    return known
