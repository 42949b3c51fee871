"""Which methods there are, who may call them, where they are. A method's module is imported at its first call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from openclaw_protocol.errors import FORBIDDEN, INVALID_REQUEST, ErrorShape
from openclaw_protocol.frames import response

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway
    from tenant_gateway.server.client import Client

READ: Final = "operator.read"
WRITE: Final = "operator.write"
ADMIN: Final = "operator.admin"
NONE: Final = ""
"""Anybody who is connected."""

METHODS: Final[dict[str, tuple[str, str]]] = {
    "health": (NONE, "status:health"),
    "status": (READ, "status:status"),
    "system.info": (READ, "status:system_info"),
    "system-presence": (READ, "status:presence"),
    "chat.send": (WRITE, "chat_send:send"),
    "chat.history": (READ, "chat:history"),
    "chat.abort": (WRITE, "chat:abort"),
    "chat.inject": (ADMIN, "chat_more:inject"),
    "chat.startup": (READ, "chat:history"),
    "chat.message.get": (READ, "chat_more:message_get"),
    "sessions.list": (READ, "sessions:list_sessions"),
    "sessions.subscribe": (READ, "sessions:subscribe"),
    "sessions.messages.subscribe": (READ, "sessions:messages_subscribe"),
    "sessions.messages.unsubscribe": (READ, "sessions:messages_unsubscribe"),
    "sessions.viewers.set": (READ, "sessions:viewers_set"),
    "sessions.describe": (READ, "sessions:describe"),
    "sessions.resolve": (READ, "sessions:resolve"),
    "sessions.get": (READ, "sessions:get"),
    "sessions.preview": (READ, "sessions:preview"),
    "sessions.search": (READ, "sessions:search"),
    "sessions.groups.list": (READ, "sessions:groups_list"),
    "sessions.create": (WRITE, "session_edits:create"),
    "sessions.send": (WRITE, "session_edits:send"),
    "sessions.abort": (WRITE, "session_edits:abort"),
    "sessions.patch": (WRITE, "session_edits:patch"),
    "sessions.reset": (ADMIN, "session_edits:reset"),
    "sessions.delete": (WRITE, "session_edits:delete"),
    "sessions.compact": (ADMIN, "session_edits:compact"),
    "agent": (WRITE, "agent:agent"),
    "agent.wait": (WRITE, "agent:wait"),
    "gateway.suspend.prepare": (ADMIN, "suspend:prepare"),
    "gateway.suspend.status": (READ, "suspend:status"),
    "gateway.suspend.resume": (ADMIN, "suspend:resume"),
    "agents.list": (READ, "agents:list_agents"),
    "agents.files.list": (READ, "agents:files_list"),
    "agents.files.get": (READ, "agents:files_get"),
    "agents.files.set": (ADMIN, "agents:files_set"),
    "agent.identity.get": (READ, "agents:identity_get"),
    "models.list": (READ, "catalogs:models_list"),
    "models.authStatus": (READ, "catalogs:auth_status"),
    "commands.list": (READ, "catalogs:commands_list"),
    "tools.catalog": (READ, "catalogs:tools_catalog"),
    "tools.invoke": (WRITE, "tools:invoke"),
    "tools.effective": (READ, "catalogs:tools_effective"),
    "chat.metadata": (READ, "catalogs:chat_metadata"),
    "config.get": (READ, "config:get"),
    "config.patch": (ADMIN, "config:patch"),
    "config.set": (ADMIN, "config:set_"),
    "config.apply": (ADMIN, "config:set_"),
    "config.schema": (READ, "config:schema"),
    "config.schema.lookup": (READ, "config:schema_lookup"),
    "cron.list": (READ, "cron:list_jobs"),
    "cron.status": (READ, "cron:status"),
    "cron.get": (READ, "cron:get"),
    "cron.runs": (READ, "cron:runs"),
    "cron.add": (ADMIN, "cron:add"),
    "cron.update": (ADMIN, "cron:update"),
    "cron.remove": (ADMIN, "cron:remove"),
    "cron.run": (ADMIN, "cron:run"),
    "question.list": (READ, "absent:questions"),
    "exec.approval.list": (READ, "absent:approvals"),
    "plugin.approval.list": (READ, "absent:approvals"),
    "openclaw.approval.list": (READ, "absent:approvals"),
    "tasks.list": (READ, "absent:tasks"),
    "node.list": (READ, "absent:nodes"),
    "channels.status": (READ, "absent:channels"),
    "last-heartbeat": (READ, "absent:last_heartbeat"),
    "sessions.branches.list": (READ, "absent:branches"),
    "progressCard.get": (READ, "absent:progress_card"),
    "sessions.companion.state": (READ, "absent:companion_state"),
    "sessions.observer.visibility": (READ, "absent:observer_visibility"),
    "talk.catalog": (READ, "absent:talk_catalog"),
    "update.status": (READ, "absent:update_status"),
    "logs.tail": (READ, "logs:tail"),
}
"""Method → (scope, `module:function`), in the order of upstream's documentation."""

EVENTS: Final = (
    "connect.challenge",
    "agent",
    "chat",
    "chat.metadata.changed",
    "sessions.changed",
    "session.message",
    "presence",
    "tick",
    "shutdown",
    "health",
    "cron",
    "config.changed",
    "gateway.suspension",
)

_IMPLIED: Final = {READ: (READ, WRITE, ADMIN), WRITE: (WRITE, ADMIN), ADMIN: (ADMIN,)}
"""A scope is met by itself and by the wider ones (docs/gateway/operator-scopes.md)."""


class RequestError(Exception):
    """A request that is refused; becomes the `error` of its response."""

    def __init__(
        self,
        message: str,
        code: str = INVALID_REQUEST,
        details: dict[str, Any] | None = None,
        *,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error = ErrorShape(code, message, details, retryable, retry_after_ms)


class Call:
    """One request: who asks, for what."""

    __slots__ = ("client", "gateway", "id", "method", "params")

    def __init__(self, gateway: Gateway, client: Client, id: str, method: str, params: dict[str, Any]) -> None:
        self.gateway = gateway
        self.client = client
        self.id = id
        self.method = method
        self.params = params

    def respond(self, payload: Any) -> None:
        """Answer at once; what the handler returns is a further answer under the same id (`agent` has two)."""
        self.client.send(response(self.id, payload))

    def text(self, name: str, default: str = "") -> str:
        """Return a string parameter, stripped."""
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.invalid(f"at /{name}: must be string")
        return value.strip()

    def required(self, name: str) -> str:
        """Return a string parameter that must be there and not be blank."""
        if name not in self.params:
            raise self.invalid(f"must have required property '{name}'")
        value = self.text(name)
        if not value:
            raise self.invalid(f"at /{name}: must not have fewer than 1 characters")
        return value

    def number(self, name: str, default: int, minimum: int = 0, maximum: int = 2**53) -> int:
        """Return a whole number, refused outside its bounds."""
        value = self.params.get(name)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.invalid(f"at /{name}: must be integer")
        if value < minimum:
            raise self.invalid(f"at /{name}: must be >= {minimum}")
        if value > maximum:
            raise self.invalid(f"at /{name}: must be <= {maximum}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean parameter."""
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.invalid(f"at /{name}: must be boolean")
        return value

    def invalid(self, detail: str) -> RequestError:
        """Return the error for parameters that break the schema, worded as upstream words it."""
        return RequestError(f"invalid {self.method} params: {detail}")


Handler = Callable[[Call], Any | Awaitable[Any]]


def require_scope(scope: str, granted: frozenset[str]) -> None:
    """Check that a client may call.

    Raises:
        RequestError: FORBIDDEN with upstream's details.
    """
    if scope and granted.isdisjoint(_IMPLIED[scope]):
        raise RequestError(
            f"missing scope: {scope}",
            FORBIDDEN,
            {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]},
        )


def handler(method: str) -> tuple[str, Handler]:
    """Return scope and function of a method, importing its module when it is new.

    Raises:
        RequestError: there is no such method.
    """
    entry = METHODS.get(method)
    if entry is None:
        raise RequestError(f"unknown method: {method}")
    scope, target = entry
    module, _, function = target.partition(":")
    return scope, getattr(import_module(f"tenant_gateway.methods.{module}"), function)
