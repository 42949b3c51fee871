"""What a model says, whatever API it was asked through."""

from typing import Any

import msgspec

from tenant_gateway.agent.models import Model
from tenant_gateway.storage.sessions import now_ms


class ProviderError(Exception):
    """A request to a model that failed.

    `shown` is fit for the user, `detail` is upstream's `errorDetail`. Never holds a key: the text comes from the
    provider's answer, which does not repeat the request's headers.
    """

    def __init__(
        self,
        shown: str,
        detail: dict[str, Any],
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        failover: bool = True,
    ) -> None:
        super().__init__(shown)
        self.shown = shown
        self.detail = detail
        self.retryable = retryable
        """Whether the same request may go well later."""
        self.retry_after = retry_after
        """Seconds the provider asked to wait."""
        self.failover = failover
        """Whether another model may do better."""


class ToolCall(msgspec.Struct):
    """A tool that the model wants to be run. `problem` says why its arguments cannot be read."""

    id: str
    name: str
    arguments: dict[str, Any]
    problem: str | None = None


class Answer:
    """An answer of a model, as far as it has come."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.text = ""
        self.thinking = ""
        self.thinking_signature = ""
        self.tool_calls: list[ToolCall] = []
        self.usage = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
        self.stop_reason = "stop"
        self.response_id = ""
        self.response_model = model.id
        self.started_at = now_ms()

    def message(self) -> dict[str, Any]:
        """Return it as the transcript's message, in upstream's shape."""
        content: list[dict[str, Any]] = []
        if self.thinking:
            part = {"type": "thinking", "thinking": self.thinking}
            if self.thinking_signature:
                part["thinkingSignature"] = self.thinking_signature
            content.append(part)
        if self.text:
            content.append({"type": "text", "text": self.text})
        for call in self.tool_calls:
            content.append({"type": "toolCall", "id": call.id, "name": call.name, "arguments": call.arguments})
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content,
            "api": self.model.api,
            "provider": self.model.provider,
            "model": self.model.id,
            "usage": {**self.usage, "totalTokens": sum(self.usage.values()), "cost": self._cost()},
            "stopReason": "toolUse" if self.tool_calls else self.stop_reason,
            "timestamp": self.started_at,
        }
        if self.response_id:
            message["responseId"] = self.response_id
        return message

    def _cost(self) -> dict[str, float]:
        """Dollars; `models[].cost` is per million tokens."""
        cost = {name: self.usage[name] * self.model.cost.get(name, 0.0) / 1_000_000 for name in self.usage}
        return {**cost, "total": sum(cost.values())}
