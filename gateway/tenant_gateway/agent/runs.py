"""A run: one message to the agent and all that comes of it, told to the clients as `agent` and `chat` events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenant_gateway.server.barriers import PATIENCE
from tenant_gateway.server.client import event_head
from tenant_gateway.storage.sessions import DEFAULT_AGENT, now_ms

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway
    from tenant_gateway.server.client import Client

_DELTA_INTERVAL: Final = 0.1
"""Seconds between two deltas of one run (upstream: 0.15). Each carries the whole text so far, so a delta for every token
would cost the square of the answer's length."""

_TOOL_EVENTS: Final = "tool-events"


class Run:
    """A run that was accepted. `outcome` is done when it has ended."""

    def __init__(
        self,
        gateway: Gateway,
        run_id: str,
        session_key: str,
        session_id: str,
        message: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self.gateway = gateway
        self.id = run_id
        self.session_key = session_key
        self.session_id = session_id
        self.message = message
        """The user's message as the transcript has it."""
        self.options = options
        """What the request asked for: model, thinking, timeoutMs, extraSystemPrompt, …."""
        self.recorded = False
        """Whether the message is in the transcript; one that waits is not yet."""
        self.started_at = 0
        self.text = ""
        """What the model has said in its present answer."""
        self.said = ""
        """What it said in the answers of this run before."""
        self.tools_used: list[str] = []
        self.news = asyncio.Event()
        """Set whenever there is more of the reply; who streams it elsewhere waits for this and clears it."""
        self.abort_reason: str | None = None
        """Why it is being stopped: `rpc` (a client), `timeout`, `restart`."""
        self.task: asyncio.Task[None] | None = None
        self.outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.asked_by: Client | None = None
        """The client that was told `started`; None: nobody waits for that."""
        self._read: asyncio.Future[None] | None = None
        self._seq = 0
        self._item = f"{run_id}:1"
        self._sent = 0
        self._chat_sent = 0
        self._due = 0.0

    # Events

    def status(self, phase: str) -> None:
        """Tell what is prepared."""
        self._seq += 1
        self._chat({"state": "status", "phase": phase})
        self._agent("run_status", {"phase": phase}, with_session=False)

    def lifecycle(self, data: dict[str, Any]) -> None:
        """Tell of a phase of the run: start, model, finishing, end, error."""
        self._seq += 1
        self._agent("lifecycle", data)

    def event(self, stream: str, data: dict[str, Any]) -> None:
        """Tell of something else: usage, thinking, item, compaction."""
        self._seq += 1
        self._agent(stream, data, with_session=False)

    def tool_event(self, stream: str, data: dict[str, Any]) -> None:
        """Tell of a tool call, those clients that asked for it with the cap `tool-events`."""
        self._seq += 1
        self._agent(stream, data, with_session=False, cap=_TOOL_EVENTS)

    @property
    def reply(self) -> str:
        """All that the model has said in this run, its answers apart by an empty line, as `chat` events show it."""
        return f"{self.said}\n\n{self.text}" if self.said and self.text else self.said or self.text

    def begin_item(self, number: int) -> None:
        """Begin a new answer of the model."""
        self._sent = 0
        self._item = f"{self.id}:{number}"

    def end_item(self, message: dict[str, Any]) -> None:
        """Write a complete answer of the model into the transcript."""
        self.record(message)
        self.said = self.reply
        self.text = ""
        self._sent = 0

    def record(self, message: dict[str, Any]) -> None:
        """Write a message of this run into the transcript, and tell those who watch the session."""
        entry = self.gateway.transcripts.append(self.session_id, message, self.id, message.get("idempotencyKey"))
        self.gateway.tell_message(self.session_key, entry)

    def take_back(self) -> None:
        """Forget a piece of an answer that is asked for anew; what clients were shown of it is replaced."""
        if not self.text:
            return
        self.text = ""
        self._sent = 0
        self._chat_sent = len(self.reply)
        self._chat({"state": "delta", "deltaText": self.reply, "replace": True, "message": self.chat_message()})

    def delta(self, text: str) -> None:
        """Take a piece of the answer; the first is sent at once, those that come quickly are sent together."""
        self.text += text
        self.news.set()
        now = asyncio.get_running_loop().time()
        if now >= self._due:
            self._due = now + _DELTA_INTERVAL
            self.flush()
            self._flush_chat()

    def flush(self) -> None:
        """Send what `agent` events have not shown of the answer yet."""
        if self._sent == len(self.text):
            return
        self._seq += 1
        data = {"text": self.text, "delta": self.text[self._sent :], "itemId": self._item}
        self._agent("assistant", data, with_session=False)
        self._sent = len(self.text)

    def _flush_chat(self) -> None:
        reply = self.reply
        if self._chat_sent == len(reply):
            return
        self._chat({"state": "delta", "deltaText": reply[self._chat_sent :], "message": self.chat_message()})
        self._chat_sent = len(reply)

    def chat_end(self, state: str, **more: Any) -> None:
        """Tell that it has ended: `final`, `aborted` or `error`."""
        self._flush_chat()
        payload: dict[str, Any] = {"state": state, **more}
        if self.reply:
            payload["message"] = self.chat_message()
        self._chat(payload)

    def chat_message(self) -> dict[str, Any]:
        """Return what was said so far as a message."""
        return {"role": "assistant", "content": [{"type": "text", "text": self.reply}], "timestamp": now_ms()}

    def _chat(self, payload: dict[str, Any]) -> None:
        base = {"runId": self.id, "sessionKey": self.session_key, "agentId": DEFAULT_AGENT, "seq": self._seq}
        self.gateway.broadcast("chat", {**base, **payload})

    def _agent(self, stream: str, data: dict[str, Any], *, with_session: bool = True, cap: str | None = None) -> None:
        clients = [client for client in self.gateway.clients if cap is None or client.has_cap(cap)]
        if not clients:
            return
        payload: dict[str, Any] = {"runId": self.id, "stream": stream, "data": data, "sessionKey": self.session_key}
        if with_session:
            payload["sessionId"] = self.session_id
        payload.update(agentId=DEFAULT_AGENT, seq=self._seq, ts=now_ms(), isHeartbeat=False)
        head = event_head("agent", msgspec.json.encode(payload))
        for client in clients:
            client.send_event(head)

    def begin(self) -> None:
        """Begin, with the client having been told `started`."""
        if self.asked_by is not None:
            self._read = self.asked_by.barrier()
            self.asked_by = None

    async def taken_note_of(self) -> None:
        """Wait until the client that sent the message has read `started`: it nearly always has, long before a turn's end.

        Upstream's TUI (2026.9.6) takes note of `started` only after all that it read in the same piece. When that is the
        whole turn, because it was busy for as long, it goes on to show that it waits, until it is restarted: `lifecycle
        start` has made the run its active one, and events of the active run do not end its waiting for `started`.
        Upstream's own turns take a second of processor time, ours some milliseconds.
        """
        if self._read is not None:
            await asyncio.wait((self._read,), timeout=PATIENCE)
            self._read = None

    # Stopping

    def abort(self, reason: str) -> None:
        """Stop it; what it has said so far is kept."""
        if self.abort_reason is None:
            self.abort_reason = reason
            if self.task is not None:
                self.task.cancel()
