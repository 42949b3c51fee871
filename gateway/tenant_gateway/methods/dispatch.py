"""From a request to its response: who may call, whether now, and what became of it."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from openclaw_protocol.errors import UNAVAILABLE, ErrorShape
from openclaw_protocol.frames import Request, error_response, response
from tenant_gateway.methods.registry import Call, RequestError, handler, require_scope
from tenant_gateway.suspension import ACCEPTING, PREPARED

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway
    from tenant_gateway.server.client import Client

_STARTS_WORK: Final = frozenset({"chat.send", "agent", "sessions.send", "sessions.create", "cron.run", "tools.invoke"})


def serve(gateway: Gateway, client: Client, request: Request) -> Coroutine[Any, Any, None] | None:
    """Serve a request: at once when it can be, else by the coroutine that is returned."""
    try:
        if request.method == "connect":
            raise RequestError("connect is only valid as the first request")
        scope, function = handler(request.method)
        require_scope(scope, client.identity.scopes)
        check_phase(gateway, request.method)
        result = function(Call(gateway, client, request.id, request.method, request.params or {}))
    except RequestError as error:
        gateway.log.info("%s refused: %s", request.method, error)
        client.send(error_response(request.id, error.error))
    except Exception:
        _failed(gateway, client, request)
    else:
        if inspect.iscoroutine(result):
            return _finish(gateway, client, request, result)
        client.send(response(request.id, result))
    return None


async def _finish(gateway: Gateway, client: Client, request: Request, result: Coroutine[Any, Any, Any]) -> None:
    try:
        client.send(response(request.id, await result))
    except RequestError as error:
        client.send(error_response(request.id, error.error))
    except Exception:
        _failed(gateway, client, request)


def _failed(gateway: Gateway, client: Client, request: Request) -> None:
    gateway.log.exception("%s failed", request.method)
    error = ErrorShape(UNAVAILABLE, f"{request.method} failed, see the gateway's log")
    client.send(error_response(request.id, error))


def check_phase(gateway: Gateway, method: str) -> None:
    """Refuse new work while the gateway finishes what it has; when prepared for suspension, refuse everything.

    Raises:
        RequestError: UNAVAILABLE, with the reason that clients and the router know.
    """
    phase = gateway.suspension.phase
    if gateway.draining:
        reason, operation, phase, fenced = "gateway-restarting", "restart", "draining", method in _STARTS_WORK
    else:
        reason, operation = "gateway-suspending", "suspension"
        fenced = phase != ACCEPTING and (phase == PREPARED or method in _STARTS_WORK)
    if fenced and not method.startswith("gateway.suspend."):
        raise RequestError(
            f"{method} unavailable during gateway {operation}",
            UNAVAILABLE,
            {"method": method, "reason": reason, "phase": phase},
            retryable=True,
            retry_after_ms=1000,
        )
