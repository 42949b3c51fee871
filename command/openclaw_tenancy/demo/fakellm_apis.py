"""The wire forms of a reply: OpenAI's chat completion chunks and Anthropic's message events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import time
from typing import Any

from openclaw_tenancy.demo.fakellm_script import Reply


class OpenAI:
    """The chunks of `POST /v1/chat/completions`."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._base = {"id": "cc-1", "created": int(time()), "model": body.get("model", "fake-model")}

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return the answer to a request without `stream`."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(reply.tokens)}
        if reply.tool:
            function = {"name": reply.tool.name, "arguments": reply.tool.arguments}
            message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
        choice = {"index": 0, "message": message, "finish_reason": self._reason(reply)}
        return {**self._base, "object": "chat.completion", "choices": [choice], "usage": self._usage(reply)}

    def opening(self, reply: Reply) -> bytes:
        """Return what comes before the first token or call."""
        return self._chunk({"role": "assistant", "content": "" if reply.tool is None else None})

    def token(self, text: str) -> bytes:
        """Return one token."""
        return self._chunk({"content": text})

    def call(self, reply: Reply) -> list[bytes]:
        """Return a tool call, one event a piece."""
        assert reply.tool is not None
        pieces = _pieces(reply.tool.arguments) if reply.tool.split else [reply.tool.arguments]
        head = {"index": 0, "id": "call_1", "type": "function"}
        events = [self._chunk({"tool_calls": [{**head, "function": {"name": reply.tool.name, "arguments": ""}}]})]
        events += [self._chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces]
        return events

    def closing(self, reply: Reply) -> bytes:
        """Return what comes after the last token."""
        usage = {**self._base, "object": "chat.completion.chunk", "choices": [], "usage": self._usage(reply)}
        return self._chunk({}, self._reason(reply)) + _sse(usage) + b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _sse({**self._base, "object": "chat.completion.chunk", "choices": [choice]})

    @staticmethod
    def _reason(reply: Reply) -> str:
        return "stop" if reply.tool is None else "tool_calls"

    @staticmethod
    def _usage(reply: Reply) -> dict[str, int]:
        count = len(reply.tokens)
        return {"prompt_tokens": 100, "completion_tokens": count, "total_tokens": 100 + count}


class Anthropic:
    """The events of `POST /v1/messages`."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "claude-fake"),
        }

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return the answer to a request without `stream`."""
        if reply.tool:
            block = {
                "type": "tool_use",
                "id": "toolu_1",
                "name": reply.tool.name,
                "input": json.loads(reply.tool.arguments),
            }
        else:
            block = {"type": "text", "text": "".join(reply.tokens)}
        usage = {"input_tokens": 100, "output_tokens": len(reply.tokens)}
        return {
            **self._message,
            "content": [block],
            "stop_reason": self._reason(reply),
            "stop_sequence": None,
            "usage": usage,
        }

    def opening(self, reply: Reply) -> bytes:
        """Return what comes before the first token or call."""
        empty: dict[str, Any] = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 1},
        }
        start = self._event("message_start", {"message": {**self._message, **empty}})
        if reply.tool is not None:
            return start
        return start + self._event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})

    def token(self, text: str) -> bytes:
        """Return one token."""
        return self._event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": text}})

    def call(self, reply: Reply) -> list[bytes]:
        """Return a tool call, one event a piece."""
        assert reply.tool is not None
        pieces = _pieces(reply.tool.arguments) if reply.tool.split else [reply.tool.arguments]
        block = {"type": "tool_use", "id": "toolu_1", "name": reply.tool.name, "input": {}}
        deltas = [{"index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}} for piece in pieces]
        return [
            self._event("content_block_start", {"index": 0, "content_block": block}),
            *(self._event("content_block_delta", delta) for delta in deltas),
        ]

    def closing(self, reply: Reply) -> bytes:
        """Return what comes after the last token."""
        delta = {"stop_reason": self._reason(reply), "stop_sequence": None}
        return (
            self._event("content_block_stop", {"index": 0})
            + self._event("message_delta", {"delta": delta, "usage": {"output_tokens": len(reply.tokens)}})
            + self._event("message_stop", {})
        )

    @staticmethod
    def _event(kind: str, fields: dict[str, Any]) -> bytes:
        return f"event: {kind}\n".encode() + _sse({"type": kind, **fields})

    @staticmethod
    def _reason(reply: Reply) -> str:
        return "end_turn" if reply.tool is None else "tool_use"


def _sse(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _pieces(text: str) -> list[str]:
    return [text[at : at + 3] for at in range(0, len(text), 3)]
