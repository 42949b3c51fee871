"""Compaction: the older part of a conversation becomes a summary, so that the rest fits into the context window.

The transcript keeps every message; a `compaction` entry says where the model's view of it begins
(docs/concepts/compaction.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenant_gateway.agent.models import Model, candidates
from tenant_gateway.providers.answer import Answer
from tenant_gateway.providers.exchange import ModelRequest
from tenant_gateway.storage.database import transaction
from tenant_gateway.storage.sessions import Session, now_ms
from tenant_gateway.storage.transcripts import TERMINAL_ERROR, Entry

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_RESERVE: Final = 16_384
"""Tokens kept free for the answer and the next tools; upstream's `compaction.reserveTokens`."""

_KEEP: Final = 20_000
"""Tokens of the latest messages that stay as they are; upstream's `compaction.keepRecentTokens`."""

_CHARS_PER_TOKEN: Final = 4
_IMAGE_TOKENS: Final = 1_200

_INSTRUCTIONS: Final = (
    "Summarize the conversation so far for yourself, to go on with it later without the original. Keep: what the user "
    "wants and has decided, what was done and with which result, names, paths, numbers and identifiers exactly, what is "
    "open. Write only the summary."
)


class Compaction(msgspec.Struct, frozen=True):
    """What became of the older part of a conversation."""

    summary: str
    first_kept_id: str | None
    """The first message that stays as it is; None when all of it became the summary."""
    tokens_before: int

    def shown(self) -> dict[str, Any]:
        """Return upstream's `result`."""
        kept = {"firstKeptEntryId": self.first_kept_id} if self.first_kept_id else {}
        return {"summary": self.summary, **kept, "tokensBefore": self.tokens_before, "details": {}}


class NothingToCompact(Exception):
    """The conversation is too short to be compacted."""


def view(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the messages that a model is shown: the last summary, and what came after the part it stands for."""
    messages: list[dict[str, Any]] = []
    entries = [entry for entry in entries if not (entry.idempotency_key or "").endswith(TERMINAL_ERROR)]
    for entry in entries:
        message = entry.message
        if message["role"] == "compaction":
            kept = [kept.message for kept in entries if message["keptFrom"] <= kept.seq < entry.seq]
            summary = {"role": "user", "content": f"[Summary of the conversation before]\n\n{message['summary']}"}
            messages = [summary, *(kept_message for kept_message in kept if kept_message["role"] != "compaction")]
        elif message["role"] != "note":
            messages.append(message)
    return messages


def estimate(messages: Sequence[dict[str, Any]]) -> int:
    """Return about how many tokens messages have."""
    return sum(_size(message) for message in messages)


def _size(message: dict[str, Any]) -> int:
    content = message["content"]
    if isinstance(content, str):
        return len(content) // _CHARS_PER_TOKEN + 4
    total = 4
    for part in content:
        if part["type"] == "image":
            total += _IMAGE_TOKENS
        else:
            total += (
                len(str(part.get("text") or part.get("arguments") or part.get("thinking") or "")) // _CHARS_PER_TOKEN
            )
    return total


def must_compact(messages: Sequence[dict[str, Any]], system: str, window: int) -> bool:
    """Whether a conversation comes so near to the window that its older part must go."""
    reserve = min(_RESERVE, window // 4)
    return estimate(messages) + len(system) // _CHARS_PER_TOKEN > window - reserve


async def compact_session(gateway: Gateway, session: Session, keep: int | None = None) -> Compaction:
    """Summarize the older part of a session's conversation, all but its last `keep` tokens.

    Raises:
        NothingToCompact: see the class.
        ProviderError: the model did not answer.
    """
    entries = conversation(gateway, session.key, session.session_id)
    models = candidates(gateway.config, session.settings.get("model"))
    if keep is None:
        keep = min(_KEEP, models[0].context_window // 4)
    cut = _cut(entries, keep)
    older = view([entry for entry in entries if entry.seq < cut])
    if len(older) < 2:
        raise NothingToCompact("nothing to compact")
    summary = await _summarize(older, models[0])
    marker = {
        "role": "compaction",
        "content": [{"type": "text", "text": summary}],
        "summary": summary,
        "keptFrom": cut,
        "timestamp": now_ms(),
    }
    with transaction(gateway.database):
        gateway.transcripts.append(session.session_id, marker)
        current = gateway.sessions.get(session.key)
        if current is not None and current.session_id == session.session_id:
            current.state["compactionCount"] = current.state.get("compactionCount", 0) + 1
            current.state["viewFrom"] = cut
            current.state.pop("totalTokens", None)
            gateway.sessions.touch(current)
            gateway.sessions.save(current)
    kept = next((entry.id for entry in entries if entry.seq >= cut), None)
    return Compaction(summary, kept, estimate(view(entries)))


def conversation(gateway: Gateway, key: str, session_id: str) -> list[Entry]:
    """Return the entries of a transcript that a model is shown anything of."""
    session = gateway.sessions.get(key)
    first = 1 if session is None or session.session_id != session_id else session.state.get("viewFrom", 1)
    return list(gateway.transcripts.since(session_id, first - 1))


def _cut(entries: Sequence[Entry], keep: int) -> int:
    """Return the number of the first entry that stays: a user's message, so that no call is parted from its result."""
    if not keep:
        return entries[-1].seq + 1 if entries else 0
    total = 0
    for entry in reversed(entries):
        if entry.message["role"] in ("compaction", "note"):
            continue
        total += _size(entry.message)
        if total > keep and entry.message["role"] == "user":
            return entry.seq
    return entries[-1].seq + 1 if entries and total > keep else 0


async def _summarize(messages: list[dict[str, Any]], model: Model) -> str:
    from tenant_gateway.agent.failover import stream_answer

    instruction = {"role": "user", "content": _INSTRUCTIONS}
    request = ModelRequest(model, "You summarize conversations.", [*messages, instruction], ())
    answer = Answer(model)
    async for _ in stream_answer(request, answer):
        pass
    return answer.text.strip()
