"""What the stand-in model answers: an echo of the user's text, or what a marker word in it asks for. Pure.

Markers, anywhere in the text (the rest of it is echoed):

====================  ==================================================================================
`SLOW` or `SLOW:MS`   250 ms, or MS milliseconds, between two tokens
`WORDS:N`             a reply of N words, one token each
`HOLD`                half of the reply, then wait until somebody calls `release` (at most 30 s), then the rest
`TOOL:NAME {JSON}`    call this tool; when its result is there, answer `NAME said: RESULT`; several of them are
                      called one after the other
`SPLITTOOL:NAME {}`   the same, the call's arguments spread over many chunks
`FAIL:STATUS`         this HTTP status as an error; 429 comes with `retry-after: 1`
`FAIL:STATUS*N`       the same N times, then the ordinary answer
`FAIL:STATUS*N@K`     the same, not at first but when K tools have been called
`CUT`                 half of the reply, then the connection is closed
`GARBLE`              half of the reply, then a chunk that is no JSON
====================  ==================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOKEN_SECONDS = 0.01
"""Pace of a reply without `SLOW`: quick for tests, still visibly streamed."""

_INTERNAL = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"
"""How the message starts that OpenClaw 2026.9.6 puts behind the user's own."""
_BEFORE = re.compile(
    r"\A(?:\[\w{3} \d{4}-\d\d-\d\d \d\d:\d\d[^\]]*\] |[\w ]+: ⟦openclaw:ctx⟧\n```json\n.*?\n```\n\n)+", re.DOTALL
)
_RUNTIME = re.compile(r"\n\nRuntime: agent=.*\Z", re.DOTALL)
"""What it writes before and behind the user's words in a session's messages."""

_SLOW = re.compile(r"\bSLOW(?::(\d+))?\b")
_WORDS = re.compile(r"\bWORDS:(\d+)\b")
_FAIL = re.compile(r"\bFAIL:(\d{3})(?:\*(\d+))?(?:@(\d+))?")
_TOOL = re.compile(r"\b(SPLIT)?TOOL:([\w.-]+)\s*")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one request to the model says, whichever API it came by."""

    text: str
    """The user's own words."""
    tool_results: tuple[str, ...] = ()
    """Results of the tools called since those words."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes."""

    name: str
    arguments: str
    split: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send: `tokens` one by one, or a call, or an HTTP error."""

    tokens: tuple[str, ...] = ()
    pace: float = TOKEN_SECONDS
    """Seconds between tokens."""
    tool: ToolCall | None = None
    status: int = 200
    fail_times: int | None = None
    """How often to fail before the ordinary answer; None: always."""
    hold: bool = False
    cut: bool = False
    garble: bool = False


def read_turn(messages: Sequence[Mapping[str, Any]]) -> Turn:
    """Return the turn that a request's `messages` ask for (OpenAI chat completions or Anthropic messages)."""
    texts: list[tuple[int, str]] = []
    for index, message in enumerate(messages):
        if message.get("role") == "user" and (text := _text(message.get("content"))):
            texts.append((index, text))
    own = (item for item in reversed(texts) if not item[1].startswith(_INTERNAL))
    at, text = next(own, (len(messages) - 1, ""))
    results = [result for message in messages[at + 1 :] for result in _tool_results(message)]
    return Turn(_RUNTIME.sub("", _BEFORE.sub("", text)), tuple(results))


def reply_to(turn: Turn) -> Reply:
    """Return what the model answers to a turn."""
    slow = _SLOW.search(turn.text)
    pace = TOKEN_SECONDS if slow is None else int(slow[1] or 250) / 1000
    calls = list(_TOOL.finditer(turn.text))
    done = len(turn.tool_results)
    failure = _FAIL.search(turn.text)
    if failure and failure[3] and int(failure[3]) != done:
        failure = None
    status, fail_times = 200, None
    if failure:
        status, fail_times = int(failure[1]), int(failure[2]) if failure[2] else None
    if done < len(calls):
        call = calls[done]
        # Without "@" a failure is about the answer in words, as those are that ask for no tool.
        early = status if failure and failure[3] else 200
        tool = ToolCall(call[2], _json_at(turn.text, call.end()), bool(call[1]))
        return Reply(tool=tool, pace=pace, status=early, fail_times=fail_times)
    words = _WORDS.search(turn.text)
    if calls:
        text = f"{calls[-1][2]} said: {turn.tool_results[-1]}"
    elif words:
        text = " ".join(f"word{number}" for number in range(int(words[1])))
    else:
        text = f"You said: {turn.text}"
    return Reply(
        tokens=tuple(re.findall(r"\S+\s*|\s+", text)),
        pace=pace,
        status=status,
        fail_times=fail_times,
        hold=bool(re.search(r"\bHOLD\b", turn.text)),
        cut=bool(re.search(r"\bCUT\b", turn.text)),
        garble=bool(re.search(r"\bGARBLE\b", turn.text)),
    )


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(block["text"] for block in content if isinstance(block, dict) and block.get("type") == "text")
    return ""


def _tool_results(message: Mapping[str, Any]) -> list[str]:
    if message.get("role") == "tool":
        return [_text(message.get("content"))]
    content = message.get("content")
    if not isinstance(content, list):
        return []
    return [
        _text(block.get("content"))
        for block in content
        if isinstance(block, dict) and block.get("type") == "tool_result"
    ]


def _json_at(text: str, at: int) -> str:
    """Return the JSON object that starts at `at`, `{}` when there is none."""
    if not text.startswith("{", at):
        return "{}"
    try:
        _, end = json.JSONDecoder().raw_decode(text, at)
    except ValueError:
        return "{}"
    return text[at:end]
