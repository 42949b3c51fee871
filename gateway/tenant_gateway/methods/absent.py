"""What this runtime does not have, where clients ask for it all the time: an empty list, so that they show no error.

The methods that would fill these lists are not there, and `features.methods` does not name them.
"""

from __future__ import annotations

from typing import Any

from tenant_gateway.methods.registry import Call
from tenant_gateway.storage.sessions import now_ms


def questions(call: Call) -> dict[str, Any]:
    """`question.list`: the agent asks its questions in the chat."""
    return {"questions": []}


def approvals(call: Call) -> list[Any]:
    """`exec.approval.list`, `plugin.approval.list`, `openclaw.approval.list`: nothing waits for an approval."""
    return []


def tasks(call: Call) -> dict[str, Any]:
    """`tasks.list`: no background tasks beside cron jobs and commands."""
    return {"tasks": []}


def nodes(call: Call) -> dict[str, Any]:
    """`node.list`: no nodes."""
    return {"ts": now_ms(), "nodes": []}


def channels(call: Call) -> dict[str, Any]:
    """`channels.status`: no channels."""
    return {
        "ts": now_ms(),
        "statusIssues": [],
        "channelOrder": [],
        "channelLabels": {},
        "channelDetailLabels": {},
        "channelSystemImages": {},
        "channelMeta": [],
        "channels": {},
        "channelAccounts": {},
        "channelDefaultAccountId": {},
    }


def last_heartbeat(call: Call) -> None:
    """`last-heartbeat`: no heartbeats."""


def branches(call: Call) -> dict[str, Any]:
    """`sessions.branches.list`: a transcript has one branch."""
    call.required("sessionKey")
    return {"branches": []}


def progress_card(call: Call) -> dict[str, Any]:
    """`progressCard.get`: the agent makes no progress cards."""
    call.required("sessionKey")
    return {"card": None}


def companion_state(call: Call) -> dict[str, Any]:
    """`sessions.companion.state`: nobody has asked the companion anything."""
    call.required("sessionKey")
    return {"exchanges": []}


def observer_visibility(call: Call) -> dict[str, Any]:
    """`sessions.observer.visibility`: a page says whether it is looked at; nothing observes here."""
    if "visible" not in call.params:
        raise call.invalid("must have required property 'visible'")
    call.flag("visible")
    return {"ok": True}


def talk_catalog(call: Call) -> dict[str, Any]:
    """`talk.catalog`: no voices."""
    return {
        "modes": [],
        "transports": [],
        "brains": [],
        "speech": {"providers": []},
        "transcription": {"ready": False, "providers": []},
        "realtime": {"ready": False, "providers": []},
    }


def update_status(call: Call) -> dict[str, Any]:
    """`update.status`: who runs this gateway updates it."""
    return {"sentinel": None, "updateAvailable": None, "effectiveChannel": "stable"}
