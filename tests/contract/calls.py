"""The calls that are sent to both runtimes, in one order: a day in the life of a client, each method at least once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateways import RunningGateway
from native_world import Operator, Refused

SCOPES = (
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
    "operator.talk",
)
PATIENCE = 120.0
"""Seconds until an answer that did not come is an error; upstream's first turn takes 12 of a processor's."""
MAIN = "agent:main:main"
OTHER = "agent:main:other"
KEPT = "agent:main:kept"

Meaning = Callable[[Any], Any]


@dataclass(frozen=True)
class Answer:
    """What one call was answered with."""

    payload: Any
    refused: bool
    meaning: Any
    """What of the answer must be equal in both runtimes."""


@dataclass
class Recording:
    """All answers of a runtime, by method and, behind a `#`, what was asked."""

    methods: list[str]
    """`features.methods` of its hello."""
    answers: dict[str, Answer] = field(default_factory=dict)
    events: dict[str, list[Any]] = field(default_factory=dict)


class _Recorder:
    def __init__(self, client: Operator) -> None:
        self.client = client
        self.recording = Recording(client.hello["features"]["methods"])

    async def __call__(self, name: str, params: dict[str, Any] | None = None, means: Meaning | None = None) -> Any:
        try:
            payload = await self.client.call(name.partition("#")[0], params or {})
        except Refused as refused:
            words = {name: value for name, value in refused.error.items() if name != "details"}
            self.recording.answers[name] = Answer(refused.error, True, words)
            return {}
        self.recording.answers[name] = Answer(payload, False, None if means is None else means(payload))
        return payload


def only(*names: str) -> Meaning:
    """Return these members of an answer."""
    return lambda payload: {name: payload.get(name) for name in names}


def _whole(payload: Any) -> Any:
    return payload


def _history(payload: Any) -> Any:
    told = []
    for message in payload["messages"]:
        content = message["content"]
        parts = content if isinstance(content, str) else [(part["type"], part.get("text")) for part in content]
        told.append((message["role"], parts, message.get("stopReason")))
    info = payload["sessionInfo"]
    return {
        "messages": told,
        "hasMore": payload["hasMore"],
        "total": payload.get("totalMessages"),
        "info": {name: info.get(name) for name in ("key", "status", "hasActiveRun", "activeRunIds", "kind")},
    }


def _told_failure(payload: Any) -> Any:
    message = payload["messages"][-1]
    return message["role"], message["stopReason"], message["content"][0]["text"][:2]


_NOTES = {"type": "file", "mimeType": "text/plain", "fileName": "notes.txt", "content": "c29tZSBub3Rlcw=="}


def _files(payload: Any) -> Any:
    message = payload["messages"][0]
    facts = message["__openclaw"]["media"]
    names = ("contentType", "kind", "fileName", "sizeBytes")
    return message["content"], [{name: fact.get(name) for name in names} for fact in facts]


def _keys(payload: Any) -> Any:
    return sorted(session["key"] for session in payload["sessions"])


async def record(gateway: RunningGateway) -> Recording:
    """Send all calls to a gateway and return its answers."""
    client = await Operator(gateway, PATIENCE).open(scopes=SCOPES)
    call = _Recorder(client)
    try:
        call.recording.answers["connect"] = Answer(client.hello, False, _hello(client.hello))
        await _looking_around(call)
        await _talking(call)
        await _sessions(call)
        await _agent(call)
        await _configuration(call)
        await _cron(call)
        await _refusals(call)
        await _suspending(call)
        for event in client.events:
            call.recording.events.setdefault(_event_name(event), []).append(event["payload"])
    finally:
        await client.close()
    return call.recording


def _hello(hello: dict[str, Any]) -> Any:
    policy = {name: hello["policy"][name] for name in ("maxPayload", "maxBufferedBytes", "tickIntervalMs")}
    defaults = hello["snapshot"]["sessionDefaults"]
    return {
        "type": hello["type"],
        "protocol": hello["protocol"],
        "version": hello["server"]["version"],
        "policy": policy,
        "suspension": hello["snapshot"]["suspension"],
        "defaults": {name: defaults[name] for name in ("defaultAgentId", "mainKey", "mainSessionKey", "scope")},
        "auth": {name: hello["auth"][name] for name in ("method", "role")},
    }


def _event_name(event: dict[str, Any]) -> str:
    payload = event["payload"]
    kind = {"chat": "state", "agent": "stream"}.get(event["event"])
    return f"{event['event']}#{payload[kind]}" if kind else event["event"]


async def _looking_around(call: _Recorder) -> None:
    await call("health", means=only("ok", "defaultAgentId"))
    await call("status", means=only("runtimeVersion"))
    await call("system.info")
    await call("system-presence")
    await call("models.list", means=lambda payload: [(model["provider"], model["id"]) for model in payload["models"]])
    await call("models.authStatus")
    await call(
        "agents.list", means=lambda payload: (payload["defaultId"], [agent["id"] for agent in payload["agents"]])
    )
    await call("agent.identity.get", {"agentId": "main"}, only("agentId"))
    await call("commands.list")
    await call("tools.catalog")
    await call("sessions.subscribe", {}, _whole)
    for name in ("tasks.list", "question.list", "exec.approval.list", "plugin.approval.list", "node.list"):
        await call(name, {}, lambda payload: payload if not isinstance(payload, dict) else payload | {"ts": 0})
    await call("openclaw.approval.list", {}, _whole)
    await call("channels.status")
    await call("last-heartbeat", {}, _whole)
    await call("update.status")
    await call("sessions.groups.list", {}, _whole)
    await call("talk.catalog")
    await call("sessions.observer.visibility", {"visible": True}, _whole)


async def _talking(call: _Recorder) -> None:
    client = call.client
    run_id = str(uuid.uuid4())
    params: dict[str, Any] = {
        "sessionKey": "main",
        "message": "SLOW:50 hello you two gateways",
        "idempotencyKey": run_id,
    }
    await call("chat.send", params, only("status"))
    await client.ended(run_id)
    await call("chat.send#again", params, only("status"))
    await call("chat.history", {"sessionKey": "main"}, _history)
    await call("chat.history#limit", {"sessionKey": "main", "limit": 1}, _history)
    await call("chat.startup", {"sessionKey": "main"})
    await call("chat.metadata", {"sessionKey": "main"})
    message = (await client.call("chat.history", {"sessionKey": "main"}))["messages"][-1]
    one = {"sessionKey": "main", "messageId": message["__openclaw"]["id"]}
    await call("chat.message.get", one, lambda payload: (payload["ok"], payload["message"]["content"]))
    await call("chat.message.get#missing", {**one, "messageId": "no-such-message"}, _whole)
    await call("chat.abort#nothing", {"sessionKey": "main"}, _whole)
    await call("sessions.messages.subscribe", {"key": MAIN}, _whole)
    tool = str(uuid.uuid4())
    params = {
        "sessionKey": "main",
        "message": 'TOOL:read {"path": "AGENTS.md"}',
        "idempotencyKey": tool,
    }
    await call("chat.send#tool", params, only("status"))
    await client.ended(tool)
    await call(
        "chat.history#tool",
        {"sessionKey": "main"},
        lambda payload: [message["role"] for message in payload["messages"]],
    )
    stopped = str(uuid.uuid4())
    params = {"sessionKey": "main", "message": "HOLD me until I am stopped", "idempotencyKey": stopped}
    await call("chat.send#held", params, only("status"))
    await client.event(lambda frame: _delta_of(frame, stopped))
    await call("chat.history#running", {"sessionKey": "main"}, lambda payload: "inFlightRun" in payload)
    await call("chat.abort", {"sessionKey": "main", "runId": stopped}, only("ok", "aborted"))
    await client.ended(stopped)
    await call("chat.history#aborted", {"sessionKey": "main"}, lambda payload: payload["sessionInfo"]["status"])
    files = str(uuid.uuid4())
    params = {"sessionKey": "files", "message": "read this", "idempotencyKey": files, "attachments": [_NOTES]}
    await call("chat.send#attachment", params, only("status"))
    await client.ended(files)
    await call("chat.history#attachment", {"sessionKey": "files"}, _files)
    wrong = {**params, "idempotencyKey": str(uuid.uuid4()), "attachments": [{"type": "image", "content": "no base64!"}]}
    await call("chat.send#no-base64", wrong)
    note = {"sessionKey": "main", "message": "a note", "label": "Note"}
    await call("chat.inject", note, only("ok"))
    await call("sessions.messages.unsubscribe", {"key": MAIN}, _whole)
    await call("progressCard.get", {"sessionKey": "main"}, _whole)
    await call("sessions.companion.state", {"sessionKey": "main"}, _whole)


def _delta_of(frame: dict[str, Any], run_id: str) -> bool:
    payload = frame["payload"]
    return bool(frame["event"] == "chat" and payload["runId"] == run_id and payload["state"] == "delta")


async def _sessions(call: _Recorder) -> None:
    await call("sessions.list", {}, _keys)
    await call("sessions.list#limit", {"limit": 1}, lambda payload: len(payload["sessions"]))
    await call("sessions.create", {"key": OTHER, "label": "Other"}, only("ok", "key", "runStarted"))
    await call("sessions.patch", {"key": OTHER, "label": "Renamed"}, only("ok", "key"))
    await call("sessions.patch#thinking", {"key": OTHER, "thinkingLevel": "off"}, only("ok", "key"))
    run_id = str(uuid.uuid4())
    await call("sessions.send", {"key": OTHER, "message": "hello other", "idempotencyKey": run_id}, only("status"))
    await call.client.ended(run_id)
    await call("sessions.describe", {"key": OTHER}, lambda payload: payload["session"]["key"])
    await call("sessions.describe#missing", {"key": "agent:main:nobody"}, _whole)
    await call("sessions.resolve", {"key": OTHER}, only("ok", "key"))
    await call("sessions.get", {"key": OTHER}, lambda payload: [message["role"] for message in payload["messages"]])
    await call("sessions.preview", {"keys": [OTHER]}, lambda payload: [one["key"] for one in payload["previews"]])
    await call("sessions.search", {"query": "hello"})
    await call("sessions.branches.list", {"sessionKey": OTHER})
    await call("sessions.viewers.set", {"sessionKeys": [OTHER]}, _whole)
    await call("sessions.abort", {"key": OTHER}, only("ok", "status"))
    await call("sessions.compact", {"key": OTHER}, only("ok", "compacted"))
    await call("sessions.reset", {"key": OTHER}, only("ok", "key"))
    await call("sessions.delete", {"key": OTHER}, only("ok", "deleted"))
    await _kept(call)
    await call("sessions.delete#again", {"key": OTHER}, only("ok", "deleted"))


async def _kept(call: _Recorder) -> None:
    """Have a session with a compaction in the middle, which `test_import` finds again."""
    await call("sessions.create#kept", {"key": KEPT, "label": "Kept"}, only("ok", "key"))
    await call("sessions.patch#pinned", {"key": KEPT, "pinned": True}, only("ok"))
    for number, message in enumerate(("the first of three", "the second of three", "", "the third of three")):
        if not message:
            await call("sessions.compact#kept", {"key": KEPT}, only("ok", "compacted"))
            continue
        run_id = str(uuid.uuid4())
        params = {"sessionKey": KEPT, "message": message, "idempotencyKey": run_id}
        await call(f"chat.send#kept-{number}", params, only("status"))
        await call.client.ended(run_id)
    await call("chat.history#kept", {"sessionKey": KEPT})


async def _agent(call: _Recorder) -> None:
    run_id = str(uuid.uuid4())
    params = {"message": "hello agent", "sessionKey": MAIN, "idempotencyKey": run_id}
    request = await call.client.send("agent", params)
    for name in ("agent", "agent#final"):
        payload = await call.client.answer(request)
        call.recording.answers[name] = Answer(payload, False, only("status", "summary", "agentId")(payload))
    await call("agent.wait", {"runId": run_id, "timeoutMs": 10_000}, only("status"))
    await call("agent.wait#unknown", {"runId": "nobody-knows", "timeoutMs": 50}, only("status"))
    names = only("agentId")
    await call("agents.files.list", {"agentId": "main"}, names)
    await call("agents.files.get", {"agentId": "main", "name": "SOUL.md"}, lambda payload: payload["file"]["name"])
    text = {"agentId": "main", "name": "SOUL.md", "content": "You are a lighthouse."}
    await call("agents.files.set", text, lambda payload: (payload["ok"], payload["file"]["content"]))
    await call("agents.files.get#missing", {"agentId": "main", "name": "../x"})
    await call("tools.effective", {"sessionKey": MAIN})
    await call("tools.invoke", {"name": "sessions_list", "args": {}, "sessionKey": MAIN}, only("ok"))
    await call("logs.tail", {"limit": 5})
    # The last turn: upstream does without a provider for a while after some of its errors.
    failed = str(uuid.uuid4())
    params = {"sessionKey": "main", "message": "FAIL:400 this cannot work", "idempotencyKey": failed}
    await call("chat.send#failing", params, only("status"))
    end = await call.client.ended(failed)
    await call("chat.history#failed", {"sessionKey": "main", "limit": 1}, _told_failure)
    await call("chat.history#whole", {"sessionKey": "main"})
    call.recording.answers["chat.send#failed"] = Answer(end, False, only("state", "errorMessage")(end))


async def _configuration(call: _Recorder) -> None:
    got = await call("config.get", {}, only("valid", "exists"))
    await call("config.schema")
    await call("config.schema.lookup", {"path": "agents.defaults.model"}, only("path"))
    await call("config.schema.lookup#missing", {"path": "no.such.key"})
    patch = {"raw": '{"agents": {"defaults": {"userTimezone": "Europe/Berlin"}}}', "baseHash": got["hash"]}
    await call("config.patch", patch, lambda payload: payload["config"]["agents"]["defaults"]["userTimezone"])
    await call("config.patch#stale", {**patch, "baseHash": "hmac-sha256:v1:0"})
    fresh = await call.client.call("config.get")
    await call("config.set", {"raw": fresh["raw"], "baseHash": fresh["hash"]}, only("ok"))
    fresh = await call.client.call("config.get")
    await call("config.apply", {"raw": fresh["raw"], "baseHash": fresh["hash"]}, only("ok"))


async def _cron(call: _Recorder) -> None:
    await call("cron.status")
    job = {
        "name": "reminder",
        "schedule": {"kind": "every", "everyMs": 3_600_000},
        "sessionTarget": "isolated",
        "wakeMode": "next-heartbeat",
        "payload": {"kind": "agentTurn", "message": "look around"},
        "delivery": {"mode": "none"},
    }
    made = await call("cron.add", job)
    job_id = made.get("id") or made.get("job", {}).get("id", "")
    await call("cron.list", {}, lambda payload: "reminder" in [job["name"] for job in payload["jobs"]])
    await call("cron.get", {"id": job_id})
    await call("cron.update", {"id": job_id, "patch": {"enabled": False}})
    await call("cron.run", {"id": job_id, "mode": "force"}, only("ok"))
    await call.client.event(lambda frame: frame["event"] == "cron" and frame["payload"].get("action") == "finished")
    await call("cron.runs", {"id": job_id})
    await call("cron.remove", {"id": job_id}, only("ok", "removed"))


async def _refusals(call: _Recorder) -> None:
    await call("chat.send#no-key", {"message": "x", "idempotencyKey": "k"})
    await call("chat.send#wrong-type", {"sessionKey": "main", "message": 1, "idempotencyKey": "k"})
    await call("chat.send#empty", {"sessionKey": "main", "message": "", "idempotencyKey": str(uuid.uuid4())})
    await call("chat.history#no-key", {})
    await call("sessions.patch#no-key", {"label": "x"})
    await call("sessions.patch#thinking-unknown", {"key": MAIN, "thinkingLevel": "gigantic"})
    await call("chat.inject#no-session", {"sessionKey": "nobody", "message": "x"})
    await call("no.such.method")


async def _suspending(call: _Recorder) -> None:
    ready = await call("gateway.suspend.prepare", {"requestId": "r-1"}, only("status", "activeCount", "blockers"))
    suspension = {"suspensionId": ready.get("suspensionId", "")}
    await call("gateway.suspend.status", suspension, only("status"))
    await call("health#suspended", {})
    await call("gateway.suspend.resume", suspension, only("ok", "status"))
    await call("gateway.suspend.status#over", suspension, only("status"))
